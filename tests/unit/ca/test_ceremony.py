"""Ceremonies: the same octets every time, one certificate whatever is killed, and a proof."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from ca.ceremony import Ceremony, Lock, parse_ceremony, parse_lock
from ca.ceremony_plan import CASubject, hashes_of, read_other_ca, subject_of
from ca.ceremony_run import Ceremonies, nobody_else
from ca.issuers import load_issuers
from ca.lint import LintFailure
from ca.store import CertificateState
from ca.transcript import verify_transcript, write_transcript
from core.errors import (
    BackendUnavailable,
    Conflict,
    Forbidden,
    InvalidSignature,
    Malformed,
    NotFound,
    ProfileViolation,
    Refused,
    TrustError,
)
from keystore.algorithms import KeyAlgorithm
from tests.fakes.keys import memory_key
from tests.judges import openssl
from tests.unit.ca.conftest import URL, Authority

ISSUING = """
act = "issuing-ca"
name = "east"
issuer = "rsa-root"
key = "memory:object=east"
key_algorithm = "rsa-3072"
subject = { C = "CN", O = "东部", CN = "East CA" }
"""
ROLL_OVER = """
act = "roll-over"
name = "sm2-issuing-2"
succeeds = "sm2-issuing"
takes_over_at = 2026-12-01T00:00:00Z
issuer = "sm2-root"
key = "memory:object=sm2-issuing-2"
key_algorithm = "sm2"
subject = { C = "CN", O = "测试机构", CN = "sm2-issuing G2" }
"""


def file(text: str, **changes: str) -> Ceremony:
    """The text with some lines changed: `path_length="3"` replaces or adds that line."""
    lines = [line for line in text.strip().splitlines() if line.split(" =")[0] not in changes]
    top = [f"{key} = {value}" for key, value in changes.items() if value]
    return parse_ceremony("\n".join([*top, *lines]).encode())


class Desk:
    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self.ceremonies = Ceremonies(
            keystore=authority.keystore,
            profiles=authority.profiles,
            issuers=authority.issuers,
            revocation_url=URL,
            **authority.services,
        )

    def draw(self, ceremony: Ceremony, other: CASubject | None = None) -> Lock:
        return self.ceremonies.draw(ceremony, other=other, actor="alice")

    def plan(self, ceremony: Ceremony, lock: Lock, other: CASubject | None = None):
        return self.ceremonies.plan(ceremony, lock, other=other, requester="alice")

    def run(self, ceremony: Ceremony, other: CASubject | None = None, approve=nobody_else):
        plan = self.plan(ceremony, self.draw(ceremony, other), other)
        return self.ceremonies.run(plan, actor="alice", approve=approve)


@pytest.fixture
def desk(authority: Authority) -> Desk:
    return Desk(authority)


# ---- the plan -----------------------------------------------------------------------------------


def test_a_plan_made_twice_is_the_same_octets(desk: Desk) -> None:
    ceremony = file(ISSUING)
    lock = desk.draw(ceremony)
    first = desk.plan(ceremony, lock)
    desk.authority.clock.advance(days=3)
    second = desk.plan(ceremony, parse_lock(lock.model_dump_json().encode()))
    assert first.tbs == second.tbs
    assert first.digest == second.digest
    assert hashes_of(first.tbs).keys() == {"tbs_sm3", "tbs_sha256"}


def test_a_file_can_fix_everything_itself(desk: Desk) -> None:
    ceremony = file(
        ISSUING,
        serial=f'"{"4" + "a" * 39}"',
        not_before="2026-12-01T00:00:00Z",
        not_after="2030-12-01T08:00:00+08:00",
    )
    prepared = desk.plan(ceremony, desk.draw(ceremony)).prepared
    assert prepared.serial == int("4" + "a" * 39, 16)
    assert prepared.not_before == datetime(2026, 12, 1, tzinfo=UTC)
    assert prepared.not_after == datetime(2030, 12, 1, tzinfo=UTC)


def test_planning_signs_nothing_and_writes_nothing(desk: Desk) -> None:
    ceremony = file(ISSUING)
    lock = desk.draw(ceremony)
    before = len(desk.authority.audit.events)
    desk.plan(ceremony, lock)
    assert len(desk.authority.audit.events) == before
    assert not [ref for ref, _ in desk.authority.keystore.signed if "east" in ref]


def test_a_file_that_changed_after_its_lock_is_refused(desk: Desk) -> None:
    lock = desk.draw(file(ISSUING))
    with pytest.raises(Refused, match="changed after its lock"):
        desk.plan(file(ISSUING, path_length="0"), lock)


def test_the_lint_result_stands_before_the_signature(desk: Desk) -> None:
    ceremony = file(ISSUING, not_after="2060-01-01T00:00:00Z", not_before="2059-01-01T00:00:00Z")
    with pytest.raises(LintFailure, match=r"x509\.validity-issuer"):
        desk.plan(ceremony, desk.draw(ceremony))


def test_a_profile_that_is_not_a_cas_is_refused(desk: Desk) -> None:
    ceremony = file(ISSUING, profile='"device"')
    with pytest.raises(ProfileViolation):
        desk.plan(ceremony, desk.draw(ceremony))


def test_a_validity_beyond_the_profile_is_refused(desk: Desk) -> None:
    ceremony = file(ISSUING, not_before="2026-11-22T00:00:00Z", not_after="2041-11-19T00:00:00Z")
    with pytest.raises(ProfileViolation, match="allows 5475 days"):
        desk.plan(ceremony, desk.draw(ceremony))


def test_an_issuing_ca_does_not_make_another(desk: Desk) -> None:
    ceremony = file(ISSUING, issuer='"rsa-issuing"')
    with pytest.raises(ProfileViolation, match="issued by root"):
        desk.plan(ceremony, desk.draw(ceremony))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"act": '"party"'}, "act"),
        ({"name": '"East"'}, "lowercase"),
        ({"issuer": ""}, "issuer is missing"),
        ({"succeeds": '"rsa-issuing"'}, "succeeds has no meaning"),
        ({"serial": '"ff"'}, "serial"),
        ({"not_before": "2026-12-01T00:00:00"}, "offset"),
        ({"key": '"memory:pin-value=1234"'}, "PIN"),
        ({"pin": '"1234"'}, "pin"),
        ({"not_after": "2027-01-01T00:00:00Z", "validity_days": "3"}, "not both"),
        ({"name_constraints": '{ permitted = ["gov.cn"] }'}, "dns:"),
        ({"path_length": "-1"}, "path_length"),
    ],
)
def test_a_file_that_is_wrong_is_refused_and_says_where(changes: dict, says: str) -> None:
    with pytest.raises(Malformed, match=says):
        file(ISSUING, **changes)


def test_what_is_not_toml_or_too_long_is_refused() -> None:
    for octets in (b"\xff", b"act =", b"a = 1\n" * 20_000):
        with pytest.raises(TrustError):
            parse_ceremony(octets)


# ---- the run ------------------------------------------------------------------------------------


def test_an_issuing_ca_is_made_and_issues(desk: Desk) -> None:
    made = desk.run(file(ISSUING, name_constraints='{ permitted = ["dns:gov.cn"] }'))
    authority = desk.authority
    authority.issuers.update(load_issuers(authority.store, authority.keystore, revocation_url=URL))
    east = authority.issuers["east"]
    assert east.certificate == made.der
    assert east.chain == (authority.issuers["rsa-root"].certificate,)
    assert authority.audit.actions[-2:] == ["issuer.created", "ceremony.completed"]
    openssl.verify_path(authority.issuers["rsa-root"].certificate, made.der, sm2=False)


def test_a_ceremony_run_twice_makes_one_certificate(desk: Desk) -> None:
    ceremony = file(ISSUING)
    plan = desk.plan(ceremony, desk.draw(ceremony))
    first = desk.ceremonies.run(plan, actor="alice", approve=nobody_else)
    again = desk.ceremonies.run(plan, actor="bob", approve=nobody_else)
    assert again.der == first.der
    assert desk.authority.audit.actions.count("issuer.created") == 3 + 2


@pytest.mark.parametrize("kill", ["after the intent", "before the row"])
def test_a_run_that_was_killed_is_finished_with_the_same_certificate(desk: Desk, kill: str) -> None:
    ceremony = file(ISSUING)
    plan = desk.plan(ceremony, desk.draw(ceremony))
    authority, asked = desk.authority, []
    if kill == "before the row":
        authority.store.add_issuer, keep = _dies, authority.store.add_issuer
    else:
        authority.store.complete_all, keep = _dies, authority.store.complete_all
    with pytest.raises(RuntimeError):
        desk.ceremonies.run(plan, actor="alice", approve=asked.append)
    if kill == "before the row":
        authority.store.add_issuer = keep
    else:
        authority.store.complete_all = keep
    made = desk.ceremonies.run(plan, actor="alice", approve=asked.append)
    assert x509.load_der_x509_certificate(made.der).tbs_certificate_bytes == plan.tbs
    assert len(asked) == 1, "what was approved and begun is not asked for again"
    record = authority.store.find_by_request("issuer:east")
    assert record.state is CertificateState.ISSUED
    assert authority.store.find_issuer("east").certificate == made.der


def test_a_failed_signature_burns_the_serial_and_says_what_to_do(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    ceremony = file(ISSUING)
    plan = desk.plan(ceremony, desk.draw(ceremony))

    def away(*_):
        raise BackendUnavailable("the token is away")

    with monkeypatch.context() as patch, pytest.raises(BackendUnavailable):
        patch.setattr(type(desk.authority.issuers["rsa-root"].signer), "sign", away)
        desk.ceremonies.run(plan, actor="alice", approve=nobody_else)
    with pytest.raises(Conflict, match="remove the lock"):
        desk.ceremonies.run(plan, actor="alice", approve=nobody_else)
    again = desk.plan(ceremony, desk.draw(ceremony))
    desk.ceremonies.run(again, actor="alice", approve=nobody_else)
    assert desk.authority.store.find_by_request("issuer:east").tbs == again.tbs


def _dies(*_, **__):
    raise RuntimeError("killed")


def test_without_approval_the_key_is_not_used(desk: Desk) -> None:
    def refuse(_plan) -> None:
        raise Forbidden("nobody approved")

    before = len(desk.authority.keystore.signed)
    with pytest.raises(Forbidden):
        desk.run(file(ISSUING), approve=refuse)
    assert len(desk.authority.keystore.signed) == before
    assert desk.authority.store.find_by_request("issuer:east") is None


def test_two_plans_of_one_name_make_no_two_certificates(desk: Desk) -> None:
    ceremony = file(ISSUING)
    first, second = desk.draw(ceremony), desk.draw(ceremony)
    assert first.serial != second.serial
    desk.ceremonies.run(desk.plan(ceremony, first), actor="alice", approve=nobody_else)
    with pytest.raises(Conflict, match="begun with other octets"):
        desk.ceremonies.run(desk.plan(ceremony, second), actor="alice", approve=nobody_else)


def test_a_name_and_a_key_that_are_taken_are_refused(desk: Desk) -> None:
    with pytest.raises(Conflict, match="named rsa-issuing already"):
        desk.draw(file(ISSUING, name='"rsa-issuing"'))
    with pytest.raises(Conflict, match="is the key of rsa-root"):
        desk.draw(file(ISSUING, key='"memory:object=rsa-root"'))
    with pytest.raises(NotFound, match="no issuer nobody"):
        desk.draw(file(ISSUING, issuer='"nobody"'))


# ---- the other CA -------------------------------------------------------------------------------

CROSS = """
act = "cross-certificate"
name = "neighbour"
issuer = "sm2-root"
other_ca = "neighbour.pem"
name_constraints = { permitted = ["dns:neighbour.gov.cn"], excluded = ["ip:0.0.0.0/0", "ip:::/0"] }
"""


def test_a_cross_certificate_keeps_the_other_cas_name_and_key_identifier(desk: Desk) -> None:
    theirs = desk.authority.issuers["rsa-root"].certificate  # any CA that is not under sm2-root
    made = desk.run(file(CROSS), read_other_ca(theirs))
    cross, other = map(x509.load_der_x509_certificate, (made.der, theirs))
    assert cross.subject.public_bytes() == other.subject.public_bytes()
    assert subject_of(cross).key_identifier == subject_of(other).key_identifier
    assert cross.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0
    constraints = cross.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    assert constraints.value.permitted_subtrees == [x509.DNSName("neighbour.gov.cn")]
    assert desk.authority.store.find_issuer("neighbour") is None, "it is not our key"
    assert desk.authority.audit.actions[-1] == "ceremony.completed"


def test_a_certificate_that_is_no_cas_gets_no_cross_certificate(desk: Desk) -> None:
    from tests.unit.ca.conftest import request

    leaf = desk.authority.issue(request()).der
    with pytest.raises(Refused, match="no CA"):
        read_other_ca(leaf)
    with pytest.raises(Malformed):
        read_other_ca(b"nonsense")


# ---- the transcript -----------------------------------------------------------------------------


def transcript(desk: Desk, text: str = ISSUING) -> bytes:
    ceremony = file(text)
    lock = desk.draw(ceremony)
    plan = desk.plan(ceremony, lock)
    made = desk.ceremonies.run(plan, actor="alice", approve=nobody_else)
    return write_transcript(
        plan,
        made,
        lock=lock.model_dump_json(),
        steps=[{"step": "approved", "by": ["bob", "carol"]}],
        versions={"yinxin": "1"},
        actor="alice",
        now=desk.authority.clock.now(),
        signer=memory_key(KeyAlgorithm.SM2),
    ).encode()


def test_a_transcript_is_proved_with_public_material_alone(desk: Desk) -> None:
    text = transcript(desk)
    found = verify_transcript(text, audit_key=memory_key(KeyAlgorithm.SM2).key.public_key)
    assert (found.act, found.name) == ("issuing-ca", "east")
    record = desk.authority.store.find_by_request("issuer:east")
    assert found.fingerprint == record.fingerprint


def test_any_changed_line_of_a_transcript_is_found(desk: Desk) -> None:
    lines = transcript(desk).splitlines(keepends=True)
    for index, line in enumerate(lines):
        for changed in (line.replace(b"a", b"b", 1), b""):
            with pytest.raises(TrustError):
                verify_transcript(b"".join([*lines[:index], changed, *lines[index + 1 :]]))
    with pytest.raises(TrustError):
        verify_transcript(b"".join([lines[0], lines[2], lines[1], *lines[3:]]))


def test_a_transcript_of_another_key_is_refused_where_the_key_is_known(desk: Desk) -> None:
    with pytest.raises(Refused, match="another key"):
        verify_transcript(
            transcript(desk), audit_key=memory_key(KeyAlgorithm.EC_P256).key.public_key
        )


def test_a_forger_with_a_key_of_his_own_cannot_swap_the_certificate(desk: Desk) -> None:
    lines = [json.loads(line) for line in transcript(desk).splitlines()]
    other = desk.authority.issuers["rsa-issuing"].certificate
    for line in lines:
        if line["what"] == "signed":
            line["result"] = base64.b64encode(other).decode()
    body = "".join(json.dumps(line) + "\n" for line in lines[:-1]).encode()
    signer = memory_key(KeyAlgorithm.SM2)
    seal = {
        **lines[-1],
        "signature": signer.sign(b"yinxin ceremony transcript\n" + body).hex(),
    }
    with pytest.raises(Refused, match="does not hold: tbs_sm3"):
        verify_transcript(body + json.dumps(seal).encode() + b"\n")
    with pytest.raises(InvalidSignature):
        verify_transcript(body + json.dumps(lines[-1]).encode() + b"\n")


# ---- the roll-over ------------------------------------------------------------------------------


def test_the_next_generation_is_planned_under_its_own_name(desk: Desk) -> None:
    desk.run(file(ROLL_OVER))
    record = desk.authority.store.find_issuer("sm2-issuing-2")
    assert record.succeeds == "sm2-issuing"
    assert record.takes_over_at == datetime(2026, 12, 1, tzinfo=UTC)
    with pytest.raises(Refused, match="generation of sm2-issuing"):
        desk.draw(file(ROLL_OVER, name='"x"', key='"memory:object=x"', succeeds='"sm2-issuing-2"'))
    with pytest.raises(NotFound, match="no issuing CA sm2-root"):
        desk.draw(file(ROLL_OVER, name='"x"', key='"memory:object=x"', succeeds='"sm2-root"'))


def test_an_instant_before_now_takes_over_at_once(desk: Desk) -> None:
    ceremony = file(ROLL_OVER, takes_over_at="2026-01-01T00:00:00Z")
    assert ceremony.description.takes_over_at < desk.authority.clock.now() - timedelta(days=300)
    desk.run(ceremony)
