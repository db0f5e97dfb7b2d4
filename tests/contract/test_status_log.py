"""What every status log promises to who keeps a copy of it; on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from ca.issuer import Issued, Prepared
from ca.packedstatus import NUMBER, RECORD_OCTETS, encode_status
from ca.reasons import RevocationReason
from ca.serials import SerialNumber
from ca.sqlstatuslog import SQLStatusLog
from ca.sqlstore import SQLCertificateStore
from ca.store import CertificateState, StatusChange
from core.db import Database
from crl.ocsp import follow, rebuild
from crl.ocsp.follow import LogFollower
from crl.ocsp.pulse import Pulse
from crl.ocsp.store import StatusStore
from tests.fakes.clock import FakeClock

NOW = FakeClock().now()
ISSUED, HELD, REVOKED = CertificateState.ISSUED, CertificateState.HELD, CertificateState.REVOKED
ISSUERS = ("ec", "某省's CA")


@dataclass
class Authority:
    """Issues and changes, as the log sees it."""

    store: SQLCertificateStore

    def issue(self, issuer: str, number: int) -> None:
        serial = SerialNumber(number << 151 | number)
        wanted = Prepared(
            issuer=issuer, serial=serial, profile="device", subject=f"CN={number}",
            not_before=NOW, not_after=NOW + timedelta(days=number), tbs=b"tbs%d" % number,
            signature_algorithm=b"", spki=b"key%d" % number, requester="alice", request_id=None,
        )  # fmt: skip
        self.store.reserve_all([wanted], now=NOW)
        assert self.store.complete_all([Issued(issuer, serial, b"der%d" % number)], now=NOW)

    def change(self, issuer: str, number: int, state: CertificateState) -> None:
        reason = {
            HELD: RevocationReason.CERTIFICATE_HOLD,
            REVOKED: RevocationReason.KEY_COMPROMISE,
        }.get(state)
        serial = SerialNumber(number << 151 | number)
        at = None if reason is None else NOW
        change = StatusChange(issuer, serial, (ISSUED, HELD), state, at, reason, NOW, "bob")
        assert self.store.change_status(change)


@pytest.fixture
def authority(database: Database) -> Authority:
    return Authority(SQLCertificateStore(database))


@pytest.fixture
def status_log(database: Database, authority: Authority) -> SQLStatusLog:
    """Forty entries: of two issuers 16 certificates each, some held, revoked and released."""
    for issuer in ISSUERS:
        for number in range(1, 17):
            authority.issue(issuer, number)
        authority.change(issuer, 1, HELD)
        authority.change(issuer, 2, REVOKED)
        authority.change(issuer, 3, HELD)
        authority.change(issuer, 3, ISSUED)
    return SQLStatusLog(database)


def test_the_database_packs_what_it_gives_by_rows(status_log: SQLStatusLog) -> None:
    assert sorted(status_log.list_issuers()) == sorted(ISSUERS)
    numbers = {name: at for at, name in enumerate(ISSUERS, 513)}
    entries = status_log.read_log(since=0, limit=100)
    assert len(entries) == 40
    last = status_log.find_last()
    assert last == entries[-1]
    for after, through in ((0, last.position), (entries[4].position, entries[9].position)):
        packed = status_log.pack(after, through, numbers)
        records = {packed[at : at + RECORD_OCTETS] for at in range(0, len(packed), RECORD_OCTETS)}
        assert records == {
            NUMBER.pack(numbers[one.issuer]) + bytes.fromhex(one.serial) + encode_status(one)
            for one in entries
            if after < one.position <= through
        }
    assert status_log.pack(last.position, last.position + 10, numbers) == b""


def test_a_store_is_the_same_whether_filled_in_one_pass_or_entry_by_entry(
    status_log: SQLStatusLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "_RANGE", 7)
    filled = []
    for name, long in (("sorted", 10), ("followed", 1000)):
        monkeypatch.setattr(follow, "_LONG", long)
        directory = tmp_path / name
        directory.mkdir()
        with closing(
            StatusStore.open(directory / "status.lmdb", gibibytes=1, writable=True)
        ) as store:
            follower = LogFollower(
                status_log, store, Pulse(directory / "pulse"), directory=directory
            )
            follower.follow()
            assert store.is_complete()
            known = {(issuer, serial): status for issuer, serial, status in store.statuses()}
            tickets = {key: store.ticket(*key) for key in known}
            filled.append((known, tickets, store.place()))
    assert filled[0] == filled[1]
    assert len(filled[0][0]) == 32


def test_a_change_wakes_who_follows(
    status_log: SQLStatusLog, authority: Authority, database: Database
) -> None:
    stop = threading.Event()
    if database.engine.dialect.name == "sqlite":
        before = status_log.version()
        assert status_log.version() == before
        authority.change(ISSUERS[0], 5, REVOKED)
        assert status_log.version() != before
        return
    assert status_log.version() is None
    status_log.wait(0, stop)
    # What is sent before it waits is not lost; if it were, it would wait for an hour.
    authority.change(ISSUERS[0], 5, REVOKED)
    waiting = threading.Thread(target=status_log.wait, args=(3600, stop), daemon=True)
    waiting.start()
    waiting.join(60)
    assert not waiting.is_alive()
