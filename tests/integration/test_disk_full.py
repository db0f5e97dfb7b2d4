"""A disk that fills up at any moment: refused honestly, nothing half done, and it goes on after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import event

from ca.reasons import RevocationReason
from ca.requests import RequestState
from ca.revocation import RevocationService
from ca.store import CertificateQuery, CertificateState
from core.audit_sql import SQLAuditLog
from core.db import Database
from core.errors import Unavailable
from keystore.algorithms import KeyAlgorithm
from tests import databases
from tests.fakes.clock import FakeClock
from tests.fakes.keys import memory_key
from tests.integration import provider
from tests.unit.ca.conftest import Authority, request
from tests.unit.ca.test_enrollment import make_service
from yinxin.audit_key import AuditKey

_PLENTY = 1 << 30


@dataclass
class Disk:
    """A database whose file may grow by a number of pages and no more."""

    database: Database
    limit: int = _PLENTY

    def __post_init__(self) -> None:
        event.listen(self.database.engine, "checkout", self._tell)

    def _tell(self, connection, _record, _proxy) -> None:
        connection.execute(f"PRAGMA max_page_count={self.limit}")

    def leave(self, pages: int) -> None:
        with self.database.reading() as connection:
            count = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        self.limit = count + pages


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    database = databases.sqlite(tmp_path, "full.sqlite3")
    yield Disk(database)
    database.close()


@pytest.fixture
def audit(disk: Disk, clock: FakeClock) -> SQLAuditLog:
    log = SQLAuditLog(disk.database, clock=clock)
    log.initialise()
    return log


def _whole(audit: SQLAuditLog) -> bool:
    return audit.verify(AuditKey(memory_key(KeyAlgorithm.SM2))).fault is None


def _count(audit: SQLAuditLog, action: str) -> int:
    return len(audit.list_events(action=action, limit=1000))


def _changes(audit: SQLAuditLog) -> int:
    return _count(audit, "certificate.held") + _count(audit, "certificate.released")


def test_issuing_stops_and_is_finished_when_there_is_space(
    disk: Disk, audit: SQLAuditLog, clock: FakeClock
) -> None:
    authority = Authority(disk.database, clock, audit)
    service = make_service(authority)
    refused = 0
    for turn in range(40):
        pending = service.submit(request(), profile="device", issuer="sm2-issuing")
        disk.leave(turn % 4)
        try:
            service.approve(pending.id, actor="bob")
        except Unavailable:
            refused += 1
        disk.limit = _PLENTY
        clock.advance(seconds=31)
        assert service.approve(pending.id, actor="bob").state is RequestState.ISSUED
    assert 5 < refused < 40
    page = authority.store.search_certificates(CertificateQuery(issuer="sm2-issuing"))
    assert len(page.items) == 40
    assert {item.state for item in page.items} == {CertificateState.ISSUED}
    for action in ("certificate.signing", "certificate.issued"):
        made = [e for e in audit.list_events(action=action, limit=1000) if "device" in e.detail]
        assert len(made) == 40
    assert _whole(audit)


def test_a_change_of_status_is_durable_or_refused(
    disk: Disk, audit: SQLAuditLog, clock: FakeClock
) -> None:
    authority = Authority(disk.database, clock, audit)
    service = RevocationService(**authority.services)
    serial = authority.issue(request()).serial
    refused = 0
    for done in range(60):
        change = service.release if done % 2 else service.hold
        disk.leave(0)
        try:
            change("sm2-issuing", serial, actor="bob")
        except Unavailable:
            refused += 1
            assert _changes(audit) == authority.store.revocation_position("sm2-issuing") == done
        disk.limit = _PLENTY
        change("sm2-issuing", serial, actor="bob")
        assert _changes(audit) == authority.store.revocation_position("sm2-issuing") == done + 1
    assert refused > 0
    assert _whole(audit)


def test_a_revocation_is_durable_or_refused_and_goes_on_by_itself(
    disk: Disk, audit: SQLAuditLog, clock: FakeClock
) -> None:
    authority = Authority(disk.database, clock, audit)
    service = RevocationService(**authority.services)
    serials = [authority.issue(request()).serial for _ in range(20)]
    reason = RevocationReason.KEY_COMPROMISE
    refused = 0
    for done, serial in enumerate(serials, start=1):
        disk.leave(0)
        try:
            service.revoke("sm2-issuing", serial, reason, actor="bob")
        except Unavailable:
            refused += 1
            assert _count(audit, "certificate.revoked") == done - 1
        disk.limit = _PLENTY
        service.revoke("sm2-issuing", serial, reason, actor="bob")
        assert _count(audit, "certificate.revoked") == done
    assert refused > 0
    assert _whole(audit)


def test_nobody_logs_in_without_a_trace(disk: Disk, audit: SQLAuditLog, clock: FakeClock) -> None:
    house = provider.build(disk.database, audit=audit, clock=clock)
    house.user()
    refused = 0
    for _ in range(30):
        clock.advance(seconds=61)
        browser = house.browser()
        disk.leave(0)
        before = _count(audit, "session.started")
        answer = provider.log_in(browser)
        disk.limit = _PLENTY
        assert answer.status_code in {303, 503}
        assert _count(audit, "session.started") - before == (answer.status_code == 303)
        refused += answer.status_code == 503
    assert 0 < refused < 30
    assert _whole(audit)
