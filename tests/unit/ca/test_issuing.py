"""Many at once: what happens to one group happens to no other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ca.contents import IssuanceRequest
from ca.issuer import Issued, Issuer
from ca.issuing import Issuing
from ca.reasons import RevocationReason
from ca.serials import to_hex
from ca.sqlstore import SQLCertificateStore
from ca.store import CertificateQuery, CertificateState, StatusChange
from core.errors import AuditUnavailable, BackendUnavailable, Conflict, ProfileViolation
from keystore.algorithms import KeyAlgorithm
from tests.fakes.keys import memory_key
from tests.unit.ca.conftest import Authority


def wanted(name: str, *, request_id: str | None = None, **changes) -> IssuanceRequest:
    made = IssuanceRequest(
        spki=memory_key(KeyAlgorithm.EC_P256).key.public_key,
        subject=(("CN", name),),
        requester="alice",
        request_id=request_id or f"request-{name}",
    )
    return replace(made, **changes)


@pytest.fixture
def issuing(authority: Authority) -> Issuing:
    issuer = authority.issuers["sm2-issuing"]
    return Issuing(issuer, authority.store, authority.database, authority.audit, authority.clock)


@pytest.fixture
def device(authority: Authority):
    return authority.profiles["device"]


def states(authority: Authority) -> dict[str, CertificateState]:
    found = authority.store.search_certificates(CertificateQuery(profile="device")).items
    return {record.subject.removeprefix("CN="): record.state for record in found}


def test_a_refused_group_leaves_the_others_alone(
    authority: Authority, issuing: Issuing, device
) -> None:
    bad = replace(wanted("bad"), subject=(("L", "no common name"),))
    first, second, third = issuing.issue(
        [[(wanted("a"), device)], [(bad, device)], [(wanted("b"), device), (wanted("c"), device)]]
    )
    assert isinstance(second, ProfileViolation)
    assert isinstance(first, tuple)
    assert isinstance(third, tuple)
    assert states(authority) == dict.fromkeys("abc", CertificateState.ISSUED)
    record = authority.store.find_by_request("request-c")
    assert record is not None
    assert record.der == third[1].der
    assert authority.audit.actions[-6:] == ["certificate.signing"] * 3 + ["certificate.issued"] * 3


def test_what_was_issued_is_given_again_beside_what_is_new(issuing: Issuing, device) -> None:
    (before,) = issuing.issue([[(wanted("a"), device)]])
    again, new = issuing.issue([[(wanted("a"), device)], [(wanted("b"), device)]])
    assert again == before
    assert isinstance(new, tuple)


def test_a_request_that_is_used_elsewhere_fails_alone(
    authority: Authority, issuing: Issuing, device
) -> None:
    twice = wanted("again", request_id="request-a")
    outcomes = issuing.issue([[(wanted("a"), device)], [(twice, device)], [(wanted("b"), device)]])
    assert [isinstance(outcome, Conflict) for outcome in outcomes] == [False, True, False]
    assert states(authority) == dict.fromkeys("ab", CertificateState.ISSUED)


def test_a_signature_that_fails_burns_its_own_group(
    authority: Authority, issuing: Issuing, device, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = Issuer.sign, []

    def failing(self, reserved) -> Issued:
        calls.append(reserved)
        if len(calls) == 3:
            raise BackendUnavailable("the token is gone")
        return real(self, reserved)

    monkeypatch.setattr(Issuer, "sign", failing)
    groups = [[(wanted("a"), device)], [(wanted("b"), device), (wanted("c"), device)]]
    outcomes = issuing.issue([*groups, [(wanted("d"), device)]])
    assert isinstance(outcomes[1], BackendUnavailable)
    assert states(authority) == {
        "a": CertificateState.ISSUED,
        "b": CertificateState.FAILED,
        "c": CertificateState.FAILED,
        "d": CertificateState.ISSUED,
    }


def test_one_that_is_revoked_while_it_is_signed_fails_alone(
    authority: Authority, issuing: Issuing, device, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = SQLCertificateStore.reserve_all

    def revoking(self, prepared, *, now):
        reserved = real(self, prepared, now=now)
        victim = reserved[0]
        change = StatusChange(
            victim.issuer, victim.serial, (CertificateState.RESERVED,), CertificateState.REVOKED,
            now, RevocationReason.SUPERSEDED, now, "bob",
        )  # fmt: skip
        assert self.change_status(change) is not None
        return reserved

    monkeypatch.setattr(SQLCertificateStore, "reserve_all", revoking)
    first, second = issuing.issue([[(wanted("a"), device)], [(wanted("b"), device)]])
    assert isinstance(first, Conflict)
    assert isinstance(second, tuple)
    assert states(authority)["b"] is CertificateState.ISSUED
    record = authority.store.find_by_request("request-b")
    assert record is not None
    assert to_hex(record.serial) not in str(first)


def test_nothing_is_signed_when_the_audit_log_cannot_be_written(
    authority: Authority, issuing: Issuing, device
) -> None:
    authority.audit.broken = True
    with pytest.raises(AuditUnavailable):
        issuing.issue([[(wanted("a"), device)], [(wanted("b"), device)]])
    assert states(authority) == {}
