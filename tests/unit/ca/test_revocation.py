from __future__ import annotations

import pytest
from cryptography import x509

from ca.reasons import RevocationReason as Reason
from ca.revocation import RevocationService
from ca.store import CertificateState as State
from core.errors import AuditUnavailable, Conflict, NotFound, Refused
from tests.unit.ca.conftest import Authority, request

ISSUER = "sm2-issuing"


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def service(authority: Authority, told: list[str]) -> RevocationService:
    def broken(issuer: str) -> None:
        raise RuntimeError(issuer)

    return RevocationService(**authority.services, listeners=(broken, told.append))


@pytest.fixture
def serial(authority: Authority) -> int:
    return authority.issue(request()).serial


def test_a_revocation_is_status_event_and_audit(
    authority: Authority, service: RevocationService, serial: int, told: list[str]
) -> None:
    record = service.revoke(ISSUER, serial, Reason.KEY_COMPROMISE, actor="bob")
    assert (record.state, record.reason) == (State.REVOKED, Reason.KEY_COMPROMISE)
    assert record.revoked_at == authority.clock.now()
    assert authority.store.revocation_position(ISSUER) == 1
    (change,) = authority.store.list_changed(ISSUER, after=0, limit=9)
    assert (change.serial, change.entry.reason) == (serial, Reason.KEY_COMPROMISE)
    action, actor, detail = authority.audit.events[-1]
    assert (action, actor, detail["reason"]) == ("certificate.revoked", "bob", "keyCompromise")
    assert told == [ISSUER]


def test_the_same_revocation_again_changes_nothing(
    authority: Authority, service: RevocationService, serial: int
) -> None:
    first = service.revoke(ISSUER, serial, Reason.SUPERSEDED, actor="bob")
    authority.clock.advance(hours=1)
    assert service.revoke(ISSUER, serial, Reason.SUPERSEDED, actor="carol") == first
    assert authority.store.revocation_position(ISSUER) == 1


def test_a_revocation_is_never_undone(service: RevocationService, serial: int) -> None:
    service.revoke(ISSUER, serial, Reason.SUPERSEDED, actor="bob")
    with pytest.raises(Conflict, match="is revoked"):
        service.release(ISSUER, serial, actor="bob")
    with pytest.raises(Conflict, match="is revoked"):
        service.hold(ISSUER, serial, actor="bob")
    with pytest.raises(Conflict, match="with reason superseded"):
        service.revoke(ISSUER, serial, Reason.KEY_COMPROMISE, actor="bob")


def test_unspecified_may_become_key_compromise_and_keeps_its_date(
    authority: Authority, service: RevocationService, serial: int
) -> None:
    first = service.revoke(ISSUER, serial, Reason.UNSPECIFIED, actor="bob")
    authority.clock.advance(days=1)
    second = service.revoke(ISSUER, serial, Reason.KEY_COMPROMISE, actor="bob")
    assert second.reason is Reason.KEY_COMPROMISE
    assert second.revoked_at == first.revoked_at
    assert authority.store.revocation_position(ISSUER) == 2


def test_hold_and_release(authority: Authority, service: RevocationService, serial: int) -> None:
    held = service.hold(ISSUER, serial, actor="bob")
    assert (held.state, held.reason) == (State.HELD, Reason.CERTIFICATE_HOLD)
    assert service.hold(ISSUER, serial, actor="bob") == held
    released = service.release(ISSUER, serial, actor="bob")
    assert (released.state, released.reason, released.revoked_at) == (State.ISSUED, None, None)
    assert service.release(ISSUER, serial, actor="bob") == released
    assert authority.store.revocation_position(ISSUER) == 2
    assert authority.audit.actions[-2:] == ["certificate.held", "certificate.released"]


def test_a_held_certificate_is_revoked_from_the_date_of_the_hold(
    authority: Authority, service: RevocationService, serial: int
) -> None:
    held = service.hold(ISSUER, serial, actor="bob")
    authority.clock.advance(days=3)
    revoked = service.revoke(ISSUER, serial, Reason.AFFILIATION_CHANGED, actor="bob")
    assert revoked.revoked_at == held.revoked_at


def test_what_was_only_reserved_can_be_revoked_and_is_never_issued_then(
    authority: Authority, service: RevocationService
) -> None:
    prepared = authority.issuers[ISSUER].prepare(
        request(request_id="r1"),
        profile=authority.profiles["device"],
        serial=1 << 158,
        now=authority.clock.now(),
    )
    authority.store.reserve_all([prepared], now=authority.clock.now())
    with pytest.raises(Conflict, match="this one is reserved"):
        service.hold(ISSUER, 1 << 158, actor="bob")
    assert service.revoke(ISSUER, 1 << 158, Reason.SUPERSEDED, actor="bob").state is State.REVOKED
    with pytest.raises(Conflict, match="make a new request"):
        authority.issue(request(request_id="r1"))


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (Reason.CERTIFICATE_HOLD, "use hold"),
        (Reason.AA_COMPROMISE, "attribute"),
        (Reason.CA_COMPROMISE, "use keyCompromise"),
    ],
)
def test_a_reason_that_does_not_fit_is_refused(
    service: RevocationService, serial: int, reason: Reason, words: str
) -> None:
    with pytest.raises(Refused, match=words):
        service.revoke(ISSUER, serial, reason, actor="bob")


def test_an_issuing_ca_is_revoked_by_its_root_and_a_root_by_nobody(
    authority: Authority, service: RevocationService
) -> None:
    serials = [
        x509.load_der_x509_certificate(authority.issuers[name].certificate).serial_number
        for name in ("sm2-root", "sm2-issuing")
    ]
    with pytest.raises(Refused, match="cannot revoke itself"):
        service.revoke("sm2-root", serials[0], Reason.KEY_COMPROMISE, actor="bob")
    with pytest.raises(Refused, match="cannot be held"):
        service.hold("sm2-root", serials[1], actor="bob")
    record = service.revoke("sm2-root", serials[1], Reason.CA_COMPROMISE, actor="bob")
    assert record.state is State.REVOKED


def test_an_unknown_serial_is_not_found(service: RevocationService) -> None:
    with pytest.raises(NotFound):
        service.revoke(ISSUER, 5, Reason.SUPERSEDED, actor="bob")


def test_nothing_is_revoked_when_the_audit_log_is_broken(
    authority: Authority, service: RevocationService, serial: int
) -> None:
    authority.audit.broken = True
    with pytest.raises(AuditUnavailable):
        service.revoke(ISSUER, serial, Reason.SUPERSEDED, actor="bob")
    record = authority.store.find_certificate(ISSUER, serial)
    assert record is not None
    assert record.state is State.ISSUED
    assert authority.store.revocation_position(ISSUER) == 0
