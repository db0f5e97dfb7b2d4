"""Re-issue, re-key, renew: one certificate in the place of another, and what becomes of the old."""

from __future__ import annotations

import pytest
from cryptography import x509

from ca.altnames import parse_alternative_name
from ca.likeness import request_like
from ca.operations import Operation
from ca.reasons import RevocationReason
from ca.replacement import Replacement
from ca.requests import RequestState
from ca.store import CertificateRecord, CertificateState
from core.errors import Conflict, NotFound, Refused, Unavailable
from keystore.algorithms import KeyAlgorithm
from keystore.escrow.store import KeyState
from tests.fakes.keys import memory_key
from tests.unit.ca.conftest import Authority, request
from tests.unit.ca.desks import operations
from tests.unit.ca.pairs import HOLDER, key_management

NEW_KEY = memory_key(KeyAlgorithm.EC_P256).key.public_key
_S = CertificateState


class World:
    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self.km = key_management(authority)
        self.made = operations(authority, km=self.km)
        self.enrollment, self.desks = self.made.enrollment, self.made.desks

    def issue(self, profile: str = "direct", **changes) -> CertificateRecord:
        entered = self.enrollment.submit(request(**changes), profile=profile, issuer="sm2-issuing")
        if entered.state is RequestState.PENDING:
            entered = self.enrollment.approve(entered.id, actor="bob")
        return self.certificate(entered.serial)

    def certificate(self, serial: int | None) -> CertificateRecord:
        assert serial is not None
        found = self.authority.store.find_certificate("sm2-issuing", serial)
        assert found is not None
        return found

    def replace(self, old: CertificateRecord, operation: Operation, *key: bytes, **how):
        wanted = Replacement(operation, *key, **how)
        return self.desks.replacements.replace(old.issuer, old.serial, wanted, actor="alice")

    def near_the_end(self, old: CertificateRecord, days: float = 1) -> None:
        left = old.not_after - self.authority.clock.now()
        self.authority.clock.advance(seconds=left.total_seconds(), days=-days)


@pytest.fixture
def world(authority: Authority) -> World:
    return World(authority)


def test_a_renewal_keeps_key_names_and_identity(world: World) -> None:
    authority = world.authority
    authority.profiles["person-signing"] = authority.profiles["person-signing"].model_copy(
        update={"needs_approval": False}
    )
    world = World(authority)
    old = world.issue(
        "person-signing",
        subject=(("C", "CN"), ("CN", "王伟"), ("OU", "信息中心"), ("OU", "一科")),
        alternative_names=(parse_alternative_name("email:wang@example.gov.cn"),),
        identity=(
            ("residentIdentityCard", "11010519491231002X"),
            ("organizationCode", "00000000A"),
        ),
        organisation_id="a" * 32,
        subject_id="b" * 32,
    )
    world.near_the_end(old)
    done = world.replace(old, Operation.RENEW)
    assert (done.state, done.operation) == (RequestState.ISSUED, Operation.RENEW)
    new = world.certificate(done.serial)
    assert (new.organisation_id, new.subject_id) == ("a" * 32, "b" * 32)
    assert new.spki_fingerprint == old.spki_fingerprint
    assert new.serial != old.serial
    assert new.not_after > old.not_after
    assert world.certificate(old.serial).state is _S.ISSUED, "the old one ends by itself"
    one, other = (x509.load_der_x509_certificate(r.der or b"") for r in (old, new))
    assert one.subject == other.subject
    assert [e.value for e in one.extensions] == [e.value for e in other.extensions]


def test_a_renewal_has_a_window(world: World) -> None:
    old = world.issue()
    with pytest.raises(Refused, match="it can be renewed from 2028-10-2"):
        world.replace(old, Operation.RENEW)
    world.near_the_end(old, days=-1)
    with pytest.raises(Refused, match="apply for a new one"):
        world.replace(old, Operation.RENEW)


def test_a_profile_may_give_grace_after_the_end(world: World) -> None:
    authority = world.authority
    authority.profiles["device"] = authority.profiles["device"].model_copy(
        update={"renewal_grace_days": 10, "renewal_window_days": 90}
    )
    world = World(authority)
    first, second = world.issue(), world.issue()
    world.near_the_end(first, days=89)
    assert world.replace(first, Operation.RENEW).state is RequestState.ISSUED
    world.near_the_end(second, days=-9)
    assert world.replace(second, Operation.RENEW).state is RequestState.ISSUED


def test_a_certificate_is_replaced_once(world: World) -> None:
    old = world.issue()
    world.near_the_end(old)
    world.replace(old, Operation.RENEW)
    with pytest.raises(Conflict, match="replaces this certificate already"):
        world.replace(old, Operation.RENEW)
    with pytest.raises(Conflict, match="already"):
        world.replace(old, Operation.REKEY, NEW_KEY)


def test_a_rejected_replacement_makes_room_for_another(world: World) -> None:
    old = world.issue("device")
    first = world.replace(old, Operation.REKEY, NEW_KEY)
    assert first.state is RequestState.PENDING
    world.enrollment.reject(first.id, actor="bob", reason="no")
    assert world.replace(old, Operation.REKEY, NEW_KEY).state is RequestState.PENDING


def test_a_rekey_revokes_the_old_certificate_after_the_new_one_is_there(world: World) -> None:
    old = world.issue()
    with pytest.raises(Refused, match="takes a new key"):
        world.replace(old, Operation.REKEY, request().spki)
    done = world.replace(old, Operation.REKEY, NEW_KEY)
    assert NEW_KEY in world.certificate(done.serial).tbs
    after = world.certificate(old.serial)
    assert (after.state, after.reason) == (_S.REVOKED, RevocationReason.SUPERSEDED)
    assert world.enrollment.get(done.id).follow_up is None
    actions = world.authority.audit.actions
    assert actions.index("certificate.revoked") > len(actions) - 1 - actions[::-1].index(
        "certificate.issued"
    )


def test_a_rekey_that_failed_leaves_the_old_certificate(world: World) -> None:
    old = world.issue("device")
    entered = world.replace(old, Operation.REKEY, NEW_KEY)
    world.authority.keystore.broken = True
    with pytest.raises(Unavailable):
        world.enrollment.approve(entered.id, actor="bob")
    assert world.certificate(old.serial).state is _S.ISSUED
    world.authority.keystore.broken = False
    assert world.desks.settlement.settle_due() == 0
    world.enrollment.approve(entered.id, actor="bob")
    assert world.certificate(old.serial).state is _S.REVOKED


def test_what_a_crash_left_unsettled_is_settled_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = world.issue()
    with monkeypatch.context() as patch:
        patch.setattr(world.enrollment, "_settle", lambda record: None)  # the kill
        done = world.replace(old, Operation.REKEY, NEW_KEY)
    assert (done.state, done.follow_up) == (RequestState.ISSUED, Operation.REKEY)
    assert world.certificate(old.serial).state is _S.ISSUED
    assert world.desks.settlement.settle_due() == 1
    assert world.certificate(old.serial).state is _S.REVOKED
    assert world.desks.settlement.settle_due() == 0


def test_a_reissue_revokes_what_is_lost_before_the_new_key_is_there(world: World) -> None:
    old = world.issue("device")
    entered = world.replace(old, Operation.REISSUE, reason=RevocationReason.KEY_COMPROMISE)
    assert (entered.state, entered.keyless) == (RequestState.PENDING, True)
    assert world.certificate(old.serial).state is _S.ISSUED, "nobody has reviewed it yet"
    approved = world.enrollment.approve(entered.id, actor="bob")
    assert approved.codes is not None
    after = world.certificate(old.serial)
    assert (after.state, after.reason) == (_S.REVOKED, RevocationReason.KEY_COMPROMISE)
    done = world.enrollment.take_key(entered.id, spki=NEW_KEY, actor="subscriber")
    assert done.state is RequestState.ISSUED


def test_a_frozen_or_lost_certificate_is_reissued_and_a_withdrawn_one_is_not(world: World) -> None:
    revocation = world.made.revocation
    held, lost, left = (world.issue() for _ in range(3))
    revocation.hold("sm2-issuing", held.serial, actor="bob")
    revocation.revoke("sm2-issuing", lost.serial, RevocationReason.KEY_COMPROMISE, actor="bob")
    revocation.revoke("sm2-issuing", left.serial, RevocationReason.AFFILIATION_CHANGED, actor="b")
    with pytest.raises(Conflict, match="is held"):
        world.replace(held, Operation.RENEW)
    with pytest.raises(Conflict, match="is held"):
        world.replace(held, Operation.REKEY, NEW_KEY)
    for old in (held, lost):
        assert world.replace(old, Operation.REISSUE, NEW_KEY).state is RequestState.ISSUED
        assert world.certificate(old.serial).state is _S.REVOKED
    with pytest.raises(Conflict, match="affiliationChanged"):
        world.replace(left, Operation.REISSUE, NEW_KEY)


def test_the_reason_of_a_reissue_is_one_of_two(world: World) -> None:
    old = world.issue()
    with pytest.raises(Refused, match="superseded or keyCompromise"):
        world.replace(old, Operation.REISSUE, reason=RevocationReason.CESSATION_OF_OPERATION)


def test_what_does_not_exist_is_not_replaced(world: World) -> None:
    with pytest.raises(NotFound):
        world.desks.replacements.replace(
            "sm2-issuing", 1 << 150, Replacement(Operation.RENEW), actor="alice"
        )


# ---- pairs --------------------------------------------------------------------------------------


def issue_pair(world: World) -> tuple[str, CertificateRecord, CertificateRecord]:
    old = world.issue("device-dual-signing", spki=HOLDER.public_key)
    assert old.request_id is not None
    return old.request_id, old, world.km.pairs.get(old.request_id).encryption


def pools(world: World) -> tuple[int, int]:
    counted = world.km.centre.count_keys()
    return counted[KeyState.IN_USE], counted[KeyState.HISTORY]


def test_a_pair_is_renewed_whole_and_its_old_key_becomes_history(world: World) -> None:
    request_id, signing, encryption = issue_pair(world)
    world.near_the_end(signing)
    entered = world.replace(encryption, Operation.RENEW)
    assert entered.target is not None
    assert entered.target.serial == signing.serial, "either half stands for the pair"
    done = world.enrollment.approve(entered.id, actor="bob")
    assert done.state is RequestState.ISSUED
    pair = world.km.pairs.get(entered.id)
    assert pair.signing.spki_fingerprint == signing.spki_fingerprint
    assert pair.encryption.spki_fingerprint != encryption.spki_fingerprint
    assert pools(world) == (1, 1)
    assert world.certificate(encryption.serial).state is _S.ISSUED
    recovery = world.km.pairs.request_recovery(
        request_id,
        issuer="sm2-issuing",
        serial=pair.signing.serial,
        reason="old letters",
        actor="alice",
    )
    assert recovery.requester == "alice", "what is history can be recovered"


def test_rekeying_a_pair_revokes_both_old_halves(world: World) -> None:
    _, signing, encryption = issue_pair(world)
    other = memory_key(KeyAlgorithm.SM2).key.public_key
    entered = world.replace(signing, Operation.REKEY, other)
    world.enrollment.approve(entered.id, actor="bob")
    for old in (signing, encryption):
        assert world.certificate(old.serial).state is _S.REVOKED
    world.km.pairs.retire_ended()
    assert pools(world) == (1, 1)


def test_a_centre_that_is_away_leaves_the_old_pair_and_no_half_of_a_new_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, signing, _ = issue_pair(world)
    world.near_the_end(signing)
    entered = world.replace(signing, Operation.RENEW)

    def away(*_: object, **__: object) -> None:
        raise Unavailable("the key management centre cannot be reached")

    with monkeypatch.context() as patch:
        patch.setattr(world.made.pairs._escrow, "assign", away)
        with pytest.raises(Unavailable):
            world.enrollment.approve(entered.id, actor="bob")
    assert world.enrollment.get(entered.id).state is RequestState.PENDING
    with monkeypatch.context() as patch:
        patch.setattr(world.made.pairs._escrow, "retire", away)
        done = world.enrollment.approve(entered.id, actor="bob")
    assert (done.state, pools(world)) == (RequestState.ISSUED, (2, 0)), "retired later"
    assert world.desks.settlement.settle_due() == 1
    assert pools(world) == (1, 1)


def test_what_a_certificate_says_is_read_back_as_it_was_asked(world: World) -> None:
    names = tuple(
        parse_alternative_name(text)
        for text in ("dns:gw.example.test", "ip:192.0.2.1", "uri:https://gw.example.test/x")
    )
    asked = request(alternative_names=names, subject=(("C", "CN"), ("O", "局"), ("CN", "gw")))
    old = world.certificate(
        world.enrollment.submit(asked, profile="direct", issuer="sm2-issuing").serial
    )
    again = request_like(
        old, world.authority.profiles["device"], spki=asked.spki, requester="alice"
    )
    assert again == asked
