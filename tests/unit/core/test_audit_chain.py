"""The audit chain: every way to tamper with it is found and named."""

from __future__ import annotations

import hmac

import pytest
from sqlalchemy import delete, text, update

from core.audit import Event
from core.audit_sql import SQLAuditLog
from core.audit_tables import audit_checkpoints, audit_events, audit_head
from core.db import Database
from core.errors import AuditUnavailable, InvalidSignature, Malformed
from tests.fakes.clock import FakeClock


class MemoryCheckpointSigner:
    key = b"a test key"

    def sign(self, message: bytes) -> bytes:
        return hmac.digest(self.key, message, "sha256")

    def verify(self, message: bytes, signature: bytes) -> None:
        if not hmac.compare_digest(self.sign(message), signature):
            raise InvalidSignature("the checkpoint does not verify")


signer = MemoryCheckpointSigner()


@pytest.fixture
def log(database: Database, clock: FakeClock) -> SQLAuditLog:
    log = SQLAuditLog(database, clock=clock)
    log.initialise()
    for number in range(5):
        clock.advance(seconds=1)
        log.record("thing.done", actor="li", detail={"number": number, "名称": "印信"})
    return log


def test_a_whole_chain_verifies(log: SQLAuditLog) -> None:
    log.checkpoint(signer)
    verdict = log.verify(signer)
    assert (verdict.fault, verdict.rows, verdict.checkpoints) == (None, 5, 1)


def test_initialise_twice_keeps_the_chain(log: SQLAuditLog) -> None:
    log.initialise()
    assert log.verify(signer).rows == 5


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("detail", '{"number":7}'),
        ("actor", "wang"),
        ("action", "thing.undone"),
        ("hash", bytes(32)),
        ("previous", bytes(range(32))),
    ],
)
def test_a_changed_row_is_named(
    log: SQLAuditLog, database: Database, column: str, value: object
) -> None:
    with database.transaction() as connection:
        connection.execute(
            update(audit_events).where(audit_events.c.sequence == 3).values({column: value})
        )
    verdict = log.verify(signer)
    assert verdict.first_bad == 3
    assert "row 3" in str(verdict.fault)


@pytest.mark.parametrize("removed", [1, 3, 5])
def test_a_removed_row_is_named_even_the_last(
    log: SQLAuditLog, database: Database, removed: int
) -> None:
    with database.transaction() as connection:
        connection.execute(delete(audit_events).where(audit_events.c.sequence == removed))
    assert log.verify(signer).first_bad == removed


def test_swapped_rows_are_found(log: SQLAuditLog, database: Database) -> None:
    with database.transaction() as connection:
        for old, new in ((2, 99), (3, 2), (99, 3)):
            connection.execute(
                update(audit_events).where(audit_events.c.sequence == old).values(sequence=new)
            )
    assert log.verify(signer).first_bad == 2


def test_a_chain_cut_with_its_head_is_found_by_the_checkpoint(
    log: SQLAuditLog, database: Database
) -> None:
    log.checkpoint(signer)
    with database.transaction() as connection:
        fourth = connection.execute(audit_events.select().where(audit_events.c.sequence == 4)).one()
        connection.execute(delete(audit_events).where(audit_events.c.sequence == 5))
        connection.execute(update(audit_head).values(sequence=4, hash=fourth.hash))
    assert log.verify(signer).first_bad == 5


def test_a_checkpoint_without_a_valid_signature_is_found(
    log: SQLAuditLog, database: Database
) -> None:
    log.checkpoint(signer)
    with database.transaction() as connection:
        connection.execute(update(audit_checkpoints).values(signature=bytes(32)))
    assert "signature" in str(log.verify(signer).fault)


def test_a_checkpoint_is_made_only_when_the_head_moved(log: SQLAuditLog) -> None:
    assert log.checkpoint(signer) == 5
    assert log.checkpoint(signer) is None


def test_without_its_head_nothing_is_recorded(log: SQLAuditLog, database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(delete(audit_head))
    with pytest.raises(AuditUnavailable):
        log.record("thing.done", actor="li", detail={})


def test_an_event_that_cannot_be_written_undoes_the_act(
    log: SQLAuditLog, database: Database
) -> None:
    with database.transaction() as connection:
        connection.execute(text("DROP TABLE audit_events"))
    with pytest.raises(AuditUnavailable), database.transaction() as connection:
        connection.execute(update(audit_head).values(sequence=77))
        log.record("thing.done", actor="li", detail={})
    with database.reading() as connection:
        assert connection.execute(audit_head.select()).one().sequence == 5


def test_events_are_listed_in_order_and_filtered(log: SQLAuditLog) -> None:
    assert [event.sequence for event in log.list_events(after=2, limit=2)] == [3, 4]
    assert log.list_events(actor="nobody") == []


def test_many_events_are_one_chain(log: SQLAuditLog) -> None:
    log.record_all([Event(f"thing.number-{n}", "li", {"n": n}) for n in range(3)])
    log.record_all([])
    assert log.verify(signer).rows == 8
    assert [event.action for event in log.list_events(after=5)] == [
        "thing.number-0",
        "thing.number-1",
        "thing.number-2",
    ]


def test_many_events_are_all_written_or_none(log: SQLAuditLog) -> None:
    with pytest.raises(Malformed):
        log.record_all([Event("thing.done", "li", {}), Event("thing.done", "\0", {})])
    assert log.verify(signer).rows == 5
