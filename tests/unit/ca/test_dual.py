"""Pairs: two certificates or none, and the key of the second one for its holder alone."""

from __future__ import annotations

import pytest
from cryptography import x509

from ca.altnames import parse_alternative_name
from ca.enrollment import EnrollmentService
from ca.issuance import find_interrupted
from ca.issuer import Issuer
from ca.profiles import load_profiles
from ca.reasons import RevocationReason
from ca.requests import RequestState, encryption_request_id
from ca.revocation import RevocationService
from ca.store import CertificateQuery, CertificateState
from core.errors import (
    BackendUnavailable,
    Conflict,
    Misconfigured,
    NotFound,
    ProfileViolation,
    Refused,
    Unavailable,
)
from keystore import softkey
from keystore.algorithms import KeyAlgorithm
from keystore.envelope import decode_enveloped_key, open_envelope
from keystore.escrow.store import KeyState, RecoveryKind
from tests.fakes.keys import memory_key
from tests.unit.ca.conftest import Authority, request
from tests.unit.ca.pairs import HOLDER, AwayEscrow, key_management
from tests.unit.ca.test_enrollment import make_service
from yinxin.key_management import KeyManagement

_S = CertificateState


class World:
    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self.km: KeyManagement = key_management(authority)
        self.service: EnrollmentService = make_service(authority, pairs=self.km.pairs)
        self.revocation = RevocationService(**authority.services)

    def submit(self, profile: str = "device-dual-signing", **changes) -> str:
        wanted = request(
            **{
                "spki": HOLDER.public_key,
                "alternative_names": (parse_alternative_name("dns:gw.example.test"),),
                **changes,
            }
        )
        return self.service.submit(wanted, profile=profile, issuer="sm2-issuing").id

    def issue(self, **changes) -> str:
        request_id = self.submit(**changes)
        assert self.service.approve(request_id, actor="bob").state is RequestState.ISSUED
        return request_id

    def states(self) -> list[CertificateState]:
        rows = self.authority.store.search_certificates(CertificateQuery(issuer="sm2-issuing"))
        return sorted(row.state for row in rows.items)

    def pools(self) -> tuple[int, int, int]:
        counted = self.km.centre.count_keys()
        return tuple(counted[state] for state in KeyState)


@pytest.fixture
def world(authority: Authority) -> World:
    return World(authority)


def test_one_request_gives_two_certificates_that_differ_in_three_things(world: World) -> None:
    pair = world.km.pairs.get(world.issue())
    signing = x509.load_der_x509_certificate(pair.signing.der)
    encryption = x509.load_der_x509_certificate(pair.encryption.der)
    assert signing.subject.public_bytes() == encryption.subject.public_bytes()
    assert signing.issuer == encryption.issuer
    assert signing.not_valid_after_utc == encryption.not_valid_after_utc
    assert signing.serial_number != encryption.serial_number
    differ = [
        one.oid
        for one, other in zip(signing.extensions, encryption.extensions, strict=True)
        if one != other
    ]
    assert differ == [x509.SubjectKeyIdentifier.oid, x509.KeyUsage.oid]
    # GB/T 20518: what signs does not encrypt, and the other way round
    assert signing.extensions[2].value.public_bytes().hex() == "030206c0"
    assert encryption.extensions[2].value.public_bytes().hex() == "03020338"


def test_the_envelope_holds_the_key_of_the_encryption_certificate(world: World) -> None:
    pair = world.km.pairs.get(world.issue())
    key = open_envelope(decode_enveloped_key(pair.enveloped), HOLDER.decrypt)
    assert key.public_key in pair.encryption.der
    assert HOLDER.public_key in pair.signing.der


def test_an_approval_comes_before_any_key_is_assigned(world: World) -> None:
    request_id = world.submit()
    assert world.pools() == (0, 0, 0)
    with pytest.raises(NotFound, match="no pair"):
        world.km.pairs.get(request_id)
    world.service.approve(request_id, actor="bob")
    assert world.pools() == (0, 1, 0)


def test_the_order_of_the_acts(world: World) -> None:
    world.km.centre.refill()
    world.authority.audit.events.clear()
    world.issue()
    assert world.authority.audit.actions == [
        "request.submitted",
        "request.approved",
        "escrow-key.assigned",
        "escrow-key.enveloped",
        "certificate.signing",
        "certificate.signing",
        "certificate.issued",
        "certificate.issued",
    ]


# ---- what fails, fails whole --------------------------------------------------------------------


def test_without_the_centre_a_single_certificate_is_issued_and_a_pair_is_not(world: World) -> None:
    world.km.pairs._escrow = AwayEscrow()
    single = world.service.submit(request(), profile="device", issuer="sm2-issuing")
    assert world.service.approve(single.id, actor="bob").state is RequestState.ISSUED
    request_id = world.submit()
    with pytest.raises(Unavailable, match="cannot be reached"):
        world.service.approve(request_id, actor="bob")
    assert world.states() == [_S.ISSUED]
    assert world.service.get(request_id).state is RequestState.PENDING
    world.km.pairs._escrow = world.km.centre
    assert world.service.approve(request_id, actor="bob").state is RequestState.ISSUED


def test_a_service_without_a_centre_says_so_at_once(authority: Authority) -> None:
    service = make_service(authority)
    with pytest.raises(Unavailable, match="no key management centre"):
        service.submit(
            request(spki=HOLDER.public_key), profile="device-dual-signing", issuer="sm2-issuing"
        )


def test_a_second_signature_that_fails_takes_the_first_with_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = world.submit()
    sign, calls = softkey.SoftKey.sign, []

    def second_fails(self, algorithm, message):
        calls.append(message)
        if len(calls) == 2:
            raise BackendUnavailable("the device is gone")
        return sign(self, algorithm, message)

    with monkeypatch.context() as patch:
        patch.setattr(softkey.SoftKey, "sign", second_fails)
        with pytest.raises(BackendUnavailable):
            world.service.approve(request_id, actor="bob")
    assert world.states() == [_S.FAILED, _S.FAILED]
    world.service.approve(request_id, actor="bob")
    assert world.states() == [_S.FAILED, _S.FAILED, _S.ISSUED, _S.ISSUED]
    assert world.pools() == (0, 1, 0), "the request kept its key"


def test_a_half_that_is_revoked_while_it_is_signed_takes_the_other_with_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = world.submit()
    sign, calls = softkey.SoftKey.sign, []

    def revoking(self, algorithm, message):
        calls.append(message)
        if len(calls) == 2:
            other = world.authority.store.find_by_request(encryption_request_id(request_id))
            with monkeypatch.context() as alone:
                alone.setattr(world.revocation, "_partners", lambda record, *states: ())
                world.revocation.revoke(
                    other.issuer, other.serial, RevocationReason.SUPERSEDED, actor="eve"
                )
        return sign(self, algorithm, message)

    with monkeypatch.context() as patch:
        patch.setattr(softkey.SoftKey, "sign", revoking)
        with pytest.raises(Conflict, match="revoked while it was signed"):
            world.service.approve(request_id, actor="bob")
    assert world.states() == [_S.FAILED, _S.REVOKED]
    with pytest.raises(Conflict, match="make a new request"):
        world.service.approve(request_id, actor="bob")


class Killed(BaseException):
    """What no `except` catches, as a crash."""


def killed(*_: object) -> None:
    raise Killed


def test_what_a_crash_left_is_finished_with_the_same_key_and_serials(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = world.submit()
    with monkeypatch.context() as patch:
        patch.setattr(Issuer, "sign", killed)
        with pytest.raises(Killed):
            world.service.approve(request_id, actor="bob")
    assert world.states() == [_S.RESERVED, _S.RESERVED]
    assert len(find_interrupted(**world.authority.services)) == 2
    before = {
        row.serial
        for row in world.authority.store.search_certificates(
            CertificateQuery(issuer="sm2-issuing")
        ).items
    }
    world.authority.clock.advance(seconds=31)
    world.service.approve(request_id, actor="bob")
    pair = world.km.pairs.get(request_id)
    assert {pair.signing.serial, pair.encryption.serial} == before
    assert world.pools() == (0, 1, 0)


def test_what_would_not_be_issued_is_refused_before_a_key_is_assigned(world: World) -> None:
    rsa = memory_key(KeyAlgorithm.RSA_2048).key.public_key
    with pytest.raises(ProfileViolation, match="keys of sm2"):
        world.submit(spki=rsa)
    with pytest.raises(ProfileViolation, match="not for requesters"):
        world.submit("device-dual-encryption")
    assert world.pools() == (0, 0, 0)


# ---- the life of a pair -------------------------------------------------------------------------


@pytest.mark.parametrize("half", ["signing", "encryption"])
def test_what_happens_to_one_happens_to_both(world: World, half: str) -> None:
    request_id = world.issue()
    one = getattr(world.km.pairs.get(request_id), half)
    where = (one.issuer, one.serial)
    world.revocation.hold(*where, actor="bob")
    assert world.states() == [_S.HELD, _S.HELD]
    world.revocation.release(*where, actor="bob")
    assert world.states() == [_S.ISSUED, _S.ISSUED]
    world.revocation.revoke(*where, RevocationReason.KEY_COMPROMISE, actor="bob")
    assert world.states() == [_S.REVOKED, _S.REVOKED]
    pair = world.km.pairs.get(request_id)
    assert pair.signing.reason is pair.encryption.reason is RevocationReason.KEY_COMPROMISE


def test_the_key_of_an_ended_certificate_moves_to_history(world: World) -> None:
    revoked, expiring = world.issue(), world.issue()
    signing = world.km.pairs.get(revoked).signing
    world.revocation.revoke(
        signing.issuer, signing.serial, RevocationReason.SUPERSEDED, actor="bob"
    )
    assert world.km.pairs.retire_ended() == 1
    assert world.km.pairs.retire_ended() == 0
    assert world.pools() == (0, 1, 1)
    world.authority.clock.advance(days=731)
    assert world.km.pairs.retire_ended() == 1
    assert world.pools() == (0, 0, 2)
    assert world.km.pairs.get(expiring).enveloped


def test_the_key_of_a_rejected_request_moves_to_history(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self, algorithm, message):
        raise BackendUnavailable("the device is gone")

    request_id = world.submit()
    with monkeypatch.context() as patch:
        patch.setattr(softkey.SoftKey, "sign", fails)
        with pytest.raises(BackendUnavailable):
            world.service.approve(request_id, actor="bob")
    assert world.pools() == (0, 1, 0)
    assert world.km.pairs.retire_ended() == 0
    world.service.reject(request_id, actor="bob", reason="wrong department")
    assert world.km.pairs.retire_ended() == 1
    assert world.pools() == (0, 0, 1)


# ---- recovery for the holder --------------------------------------------------------------------


def test_a_holder_gets_the_key_for_a_new_signing_certificate(world: World) -> None:
    lost, today = world.issue(), world.issue()
    signing = world.km.pairs.get(today).signing
    recovery = world.km.pairs.request_recovery(
        lost, issuer=signing.issuer, serial=signing.serial, reason="lost", actor="alice"
    )
    assert recovery.kind is RecoveryKind.USER
    for officer in ("o1", "o2"):
        world.km.recoveries.approve(recovery.id, actor=officer)
    given = world.km.recoveries.deliver(recovery.id, actor="alice")
    key = open_envelope(decode_enveloped_key(given), HOLDER.decrypt)
    assert key.public_key in world.km.pairs.get(lost).encryption.der


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"subject": (("CN", "somebody else"),)}, "another subject"),
        ({"revoke": True}, "not valid now"),
        ({"half": "encryption"}, "to a signing certificate"),
    ],
)
def test_a_key_does_not_go_to_another_certificate(world: World, change: dict, words: str) -> None:
    lost = world.issue()
    subject = {"subject": change["subject"]} if "subject" in change else {}
    target = getattr(world.km.pairs.get(world.issue(**subject)), change.get("half", "signing"))
    where = {"issuer": target.issuer, "serial": target.serial}
    if "revoke" in change:
        world.revocation.revoke(**where, reason=RevocationReason.SUPERSEDED, actor="bob")
    with pytest.raises(Refused, match=words):
        world.km.pairs.request_recovery(lost, **where, reason="lost", actor="alice")
    with pytest.raises(NotFound):
        world.km.pairs.request_recovery(
            lost, issuer="sm2-issuing", serial=1, reason="lost", actor="alice"
        )


# ---- profiles -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"device-dual-encryption"\n', '"nothing"\n', "names no profile"),
        ('"device-dual-encryption"\n', '"device"\n', "must not be requestable"),
        ('["sm2"]', '["sm2", "ec-p256"]', "differs in key_algorithms"),
        (
            '["sm2"]',
            '["sm2"]\nenvelopes = ["skf", "enveloped-data"]',
            "these keys come as csrresponse",
        ),
        ('["sm2"]', '["sm2"]\nenvelopes = ["zip"]', "envelopes.0"),
        ("maximum = 20", "maximum = 19", "differs in alternative_names"),
    ],
)
def test_a_pair_that_could_differ_is_refused_at_start(tmp_path, old, new, words) -> None:
    from importlib import resources

    text = resources.files("ca").joinpath("profile_data", "device-dual-signing.toml").read_text()
    assert old in text
    (tmp_path / "pair.toml").write_text(text.replace(old, new))
    with pytest.raises(Misconfigured, match=words):
        load_profiles(tmp_path)
