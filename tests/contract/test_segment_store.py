"""Partitionings and encoded lines of CRLs, and the status log's own refusals, on every database."""

from __future__ import annotations

import uuid
from array import array
from traceback import format_exception

import pytest
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import DBAPIError

from ca.distribution import Scope
from ca.store import CertificateState
from ca.tables import certificates
from ca.tables_status import status_log
from core.audit_sql import SQLAuditLog
from core.errors import Conflict
from crl.entries import Segment
from crl.sqlsegments import SQLSegmentStore
from crl.tables import crl_partitionings


@pytest.fixture
def store(shared) -> SQLSegmentStore:
    return SQLSegmentStore(shared)


@pytest.fixture
def issuer() -> str:
    return uuid.uuid4().hex


def segment(number: int, position: int, *ends: int) -> Segment:
    lines = b"".join(bytes([number % 251]) * 2 for _ in ends)
    return Segment(number, position, lines, array("I", ends).tobytes())


def test_a_partitioning_is_written_once_by_many_nodes(store, issuer, run_together):
    for url in ("http://a.example.cn", "http://b.example.cn"):
        run_together([lambda url=url: store.add_partitioning(issuer, 16, url)] * 4)
    store.add_partitioning(issuer, 1, "")
    assert store.list_partitionings(issuer) == {
        1: [""],
        16: ["http://a.example.cn", "http://b.example.cn"],
    }


def test_lines_are_covered_by_one_of_many_at_once(store, issuer, run_together):
    def cover(before: int, position: int) -> bool:
        try:
            store.cover(issuer, position, before=before)
        except Conflict:
            return False
        return True

    assert store.covered(issuer) == 0
    assert sum(run_together([lambda: cover(0, 7)] * 4)) == 1
    assert sum(run_together([lambda: cover(7, 1 << 40)] * 4)) == 1
    assert store.covered(issuer) == 1 << 40


def test_who_loses_the_race_leaves_nothing(store, issuer, shared):
    store.cover(issuer, 5, before=0)
    with pytest.raises(Conflict), shared.transaction():
        store.put_segments(issuer, [segment(1, 9, 100)])
        store.cover(issuer, 9, before=4)
    assert store.count_lines(issuer) == 0
    assert store.covered(issuer) == 5


def test_lines_are_changed_and_joined_by_partition(store, issuer):
    first, second, third = segment(1, 5, 300, 200), segment(17, 6, 400), segment(2, 7, 500)
    store.put_segments(issuer, [first, second, third])
    store.put_segments(uuid.uuid4().hex, [segment(1, 99, 1)])
    longer = segment(17, 1 << 33, 400, 150, 600)
    store.put_segments(issuer, [longer, segment(4095, 8)])
    assert store.find_segments(issuer, [1, 2, 17, 3]) == {1: first, 2: third, 17: longer}
    assert [one.number for one in store.find_ended(issuer, 201)] == [1, 17]
    assert store.last_changes(issuer, after=6) == {2: 7, 17: 1 << 33, 4095: 8}
    assert store.count_lines(issuer) == 6
    assert store.join_lines(Scope(issuer, 16, 1)) == (5, first.lines + longer.lines)
    assert store.join_lines(Scope(issuer)) == (6, first.lines + third.lines + longer.lines)


def test_the_database_writes_the_status_log_and_refuses_to_change_it(shared, issuer, clock):
    SQLAuditLog(shared, clock=clock).initialise()
    row = {
        "issuer": issuer,
        "serial": "1" * 40,
        "profile": "x",
        "subject": "",
        "not_before": clock.now(),
        "not_after": clock.now(),
        "tbs": b"",
        "spki_fingerprint": "",
        "requester": "t",
        "reserved_at": clock.now(),
    }
    mine = certificates.c.issuer == issuer
    with shared.transaction() as connection:
        connection.execute(insert(certificates).values(state=CertificateState.RESERVED, **row))
        for state in (CertificateState.ISSUED, CertificateState.REVOKED, CertificateState.REVOKED):
            revoked = state is CertificateState.REVOKED
            why = {"reason": "superseded", "revoked_at": clock.now()} if revoked else {}
            connection.execute(update(certificates).where(mine).values(state=state, **why))
    logged = select(status_log.c.state, status_log.c.changed_at).where(
        status_log.c.issuer == issuer
    )
    with shared.reading() as connection:
        rows = connection.execute(logged.order_by(status_log.c.position)).all()
    assert [one.state for one in rows] == [CertificateState.ISSUED, CertificateState.REVOKED]
    assert [one.changed_at is None for one in rows] == [True, False]
    for forbidden in (update(status_log).values(state="issued"), delete(status_log)):
        with pytest.raises(DBAPIError, match="status log"), shared.transaction() as connection:
            connection.execute(forbidden)
    with shared.reading() as connection:
        assert len(connection.execute(logged).all()) == 2


def test_an_error_of_the_database_does_not_quote_the_row(shared, issuer):
    secret = {"issuer": issuer, "partitions": 1, "revocation_url": "hidden-from-logs"}
    with shared.transaction() as connection:
        connection.execute(insert(crl_partitionings).values(secret))
    with pytest.raises(DBAPIError) as raised, shared.transaction() as connection:
        connection.execute(insert(crl_partitionings).values(secret))
    said = "".join(format_exception(raised.value))
    assert "hidden-from-logs" not in said
    assert "constraint" in said
