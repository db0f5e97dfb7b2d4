"""The one answer to whether a certificate still holds."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from ca.reasons import RevocationReason
from ca.store import CertificateState, CertificateStatus
from crl.status import GOOD, UNKNOWN, WITHHELD, Standing, Status, StatusService
from tests.fakes.clock import FakeClock

STATE = CertificateState


class Rows:
    def __init__(self) -> None:
        self.rows: dict[tuple[str, int], CertificateStatus] = {}
        self.asked: list[tuple[str, int]] = []

    def find_status(self, issuer: str, serial: int) -> CertificateStatus | None:
        self.asked.append((issuer, serial))
        return self.rows.get((issuer, serial))


@pytest.fixture
def rows() -> Rows:
    return Rows()


@pytest.fixture
def service(rows: Rows, clock: FakeClock) -> StatusService:
    return StatusService(rows, retention=timedelta(hours=1), clock=clock)


def row(
    state: CertificateState,
    clock: FakeClock,
    revoked_at: datetime | None = None,
    reason: RevocationReason | None = None,
) -> CertificateStatus:
    return CertificateStatus(state, clock.now() + timedelta(days=1), revoked_at, reason)


@pytest.mark.parametrize("state", [STATE.RESERVED, STATE.FAILED])
def test_of_what_may_or_may_not_be_signed_nothing_is_said(rows, service, clock, state):
    rows.rows["issuing", 5] = row(state, clock)
    assert service.standing("issuing", 5) == WITHHELD


def test_issued_is_good(rows, service, clock):
    rows.rows["issuing", 5] = row(STATE.ISSUED, clock)
    assert service.standing("issuing", 5) == GOOD


def test_revoked_has_its_time_and_reason(rows, service, clock):
    reason = RevocationReason.KEY_COMPROMISE
    rows.rows["issuing", 5] = row(STATE.REVOKED, clock, clock.now(), reason)
    assert service.standing("issuing", 5) == Standing(Status.REVOKED, clock.now(), reason)


def test_held_is_revoked_with_certificate_hold(rows, service, clock):
    rows.rows["issuing", 5] = row(STATE.HELD, clock, clock.now(), None)
    assert service.standing("issuing", 5).reason is RevocationReason.CERTIFICATE_HOLD


def test_another_issuer_with_the_same_serial_is_another_certificate(rows, service, clock):
    rows.rows["issuing", 5] = row(STATE.ISSUED, clock)
    assert service.standing("other", 5) == UNKNOWN


@pytest.mark.parametrize("serial", [0, -5, 1 << 159])
def test_serials_that_cannot_exist_do_not_reach_the_database(rows, service, serial):
    assert service.standing("issuing", serial) == UNKNOWN
    assert rows.asked == []


def test_the_status_is_read_anew_every_time(rows, service, clock):
    rows.rows["issuing", 5] = row(STATE.ISSUED, clock)
    service.standing("issuing", 5)
    rows.rows["issuing", 5] = row(STATE.REVOKED, clock, clock.now(), RevocationReason.UNSPECIFIED)
    assert service.standing("issuing", 5).status is Status.REVOKED
