"""The audit log as a hash chain in the database (`core.audit_chain`), with signed checkpoints.

The head row names the last sequence and hash, so that a removed last row is found too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, bindparam, func, insert, select
from sqlalchemy import update as sql_update
from sqlalchemy.exc import DBAPIError

from core.audit import Detail, Event
from core.audit_chain import (
    GENESIS,
    Checkpoint,
    CheckpointSigner,
    CheckpointVerifier,
    StoredEvent,
    Verdict,
    checkpoint_message,
    event_hash,
    walk,
)
from core.audit_tables import audit_checkpoints, audit_events, audit_exports, audit_head
from core.clock import Clock
from core.db import Database
from core.errors import AuditUnavailable, Unavailable
from core.rows import insert_rows
from core.sqllisting import Sorting
from core.statements import Statement
from core.steps import Chained, Statements, Steps, chained

_HEAD: Final = 1
_PAGE: Final = 1000

# Built once: every act of the service appends an event, and building a statement costs as much
# as running it.
_READ_HEAD = select(audit_head.c.sequence, audit_head.c.hash).where(audit_head.c.id == _HEAD)
_LOCK_HEAD = Statement(_READ_HEAD.with_for_update())
_MOVE_HEAD = Statement(
    sql_update(audit_head)
    .where(audit_head.c.id == _HEAD)
    .values(sequence=bindparam("to_sequence"), hash=bindparam("to_hash"))
)


_ADD_EVENT = Statement(insert(audit_events))


def locking(condition: ColumnElement[bool]) -> Statement:
    """Return what locks the log, for `SQLAuditLog.following`, if a condition holds."""
    return Statement(_READ_HEAD.where(condition).with_for_update(of=audit_head))


class _Head(NamedTuple):
    sequence: int
    hash: bytes


def _moving(head: _Head) -> tuple[Statement, Mapping[str, Any]]:
    return _MOVE_HEAD, {"to_sequence": head.sequence, "to_hash": head.hash}


_SORTING = Sorting(audit_events.c.sequence, sequence=audit_events.c.sequence)


class SQLAuditLog:
    """`core.audit.AuditLog` in the database."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def initialise(self) -> None:
        """Write the head of an empty chain. Does nothing when there is one."""
        with self._database.transaction() as connection:
            if connection.execute(select(audit_head.c.id)).first() is None:
                connection.execute(insert(audit_head).values(id=_HEAD, sequence=0, hash=GENESIS))

    def record(self, action: str, *, actor: str, detail: Detail) -> None:
        self.record_all((Event(action, actor, detail),))

    def record_all(self, events: Sequence[Event]) -> None:
        if not events:
            return
        try:
            with self._database.transaction() as connection:
                self._append(connection, events)
        except (DBAPIError, Unavailable) as error:
            raise _unavailable() from error

    def recording(
        self, event: Event, first: Statements, stands: Callable[[Sequence[Any]], bool]
    ) -> Steps[bool]:
        def then(given: Sequence[Any]) -> tuple[Event, Statements] | None:
            return (event, ()) if stands(given) else None

        # The head comes last, so that it is locked for as short as can be.
        return (yield from self.following([*first, (_LOCK_HEAD, {})], then))

    def following(
        self, first: Statements, then: Callable[[Sequence[Any]], tuple[Event, Statements] | None]
    ) -> Steps[bool]:
        done = False

        def go_on(given: Sequence[Any], head: Any | None) -> tuple[Statements, _Head] | None:
            nonlocal done
            done, follows = False, then(given)  # it may be the second try
            if follows is None:
                return None
            done, (event, statements) = True, follows
            (row,), moved = self._rows(head, (event,))
            return [*statements, (_ADD_EVENT, row)], _Head(**moved)

        *others, lock = first
        try:
            yield from chained(Chained(others, lock, go_on, _moving))
        except (DBAPIError, Unavailable) as error:
            raise _unavailable() from error
        return done

    def _append(self, connection: Connection, events: Sequence[Event]) -> None:
        rows, moved = self._rows(_LOCK_HEAD.run(connection, {}).first(), events)
        if len(rows) == 1:
            _ADD_EVENT.send(connection, rows[0])
        else:
            insert_rows(connection, audit_events, rows, wait=False)
        _MOVE_HEAD.run(connection, _moving(_Head(**moved))[1])

    def _rows(
        self, head: Any | None, events: Sequence[Event]
    ) -> tuple[list[dict[str, Any]], Mapping[str, Any]]:
        """Return the rows of events behind a head, and where it moves.

        The head row is the lock: events queue for it, and their order is the order of commits.
        """
        if head is None:
            raise AuditUnavailable("the head of the audit chain is missing; see audit verify")
        at, sequence, previous = self._clock.now(), int(head.sequence), bytes(head.hash)
        rows: list[dict[str, Any]] = []
        row: dict[str, Any]
        for event in events:
            sequence += 1
            row = {
                "sequence": sequence,
                "at": at,
                "action": event.action,
                "actor": event.actor,
                "detail": _canonical(event.detail),
                "previous": previous,
                "hash": b"",
            }
            row["hash"] = previous = event_hash(StoredEvent(**row))
            rows.append(row)
        return rows, {"sequence": sequence, "hash": previous}

    def list_events(
        self,
        *,
        after: int = 0,
        limit: int = 100,
        action: str | None = None,
        actor: str | None = None,
        sort: str = "sequence",
    ) -> list[StoredEvent]:
        """Return events behind the sequence `after`, oldest first; by ``-sequence`` newest first.

        Raises `Malformed` for another `sort`.
        """
        query = _SORTING.page(select(audit_events), sort, after or None).limit(limit)
        if action is not None:
            query = query.where(audit_events.c.action == action)
        if actor is not None:
            query = query.where(audit_events.c.actor == actor)
        with self._database.reading() as connection:
            return [_stored(row) for row in connection.execute(query)]

    def list_checkpoints(self, *, after: int = 0, limit: int | None = None) -> list[Checkpoint]:
        """Return checkpoints at a sequence above `after`, in order."""
        query = (
            select(audit_checkpoints)
            .where(audit_checkpoints.c.sequence > after)
            .order_by(audit_checkpoints.c.sequence)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [
                Checkpoint(int(row.sequence), row.at, bytes(row.hash), bytes(row.signature))
                for row in connection.execute(query)
            ]

    def head(self) -> tuple[int, bytes] | None:
        """Return the sequence and hash that the head names."""
        with self._database.reading() as connection:
            row = connection.execute(_READ_HEAD).first()
        return None if row is None else (int(row.sequence), bytes(row.hash))

    def checkpoint(
        self, signer: CheckpointSigner, *, rows: int = 1, seconds: int = 0
    ) -> int | None:
        """Sign the present head, if it moved by `rows` or `seconds` ago. Returns its sequence."""
        last = select(audit_checkpoints.c.sequence, audit_checkpoints.c.at)
        with self._database.transaction() as connection:
            head = connection.execute(_READ_HEAD).first()
            known = connection.execute(
                last.order_by(audit_checkpoints.c.sequence.desc()).limit(1)
            ).first()
            if head is None or head.sequence == (0 if known is None else known.sequence):
                return None
            now = self._clock.now()
            if (
                known is not None
                and head.sequence - known.sequence < rows
                and now < known.at + timedelta(seconds=seconds)
            ):
                return None
            sequence, digest = int(head.sequence), bytes(head.hash)
            connection.execute(
                insert(audit_checkpoints).values(
                    sequence=sequence,
                    at=now,
                    hash=digest,
                    signature=signer.sign(checkpoint_message(sequence, digest)),
                )
            )
            return sequence

    def find_cursor(self, target: str) -> tuple[int, int]:
        """Return the last row and the last checkpoint that this target has."""
        columns = audit_exports.c
        with self._database.reading() as connection:
            row = connection.execute(
                select(columns.sequence, columns.checkpoint).where(columns.target == target)
            ).first()
        return (0, 0) if row is None else (int(row.sequence), int(row.checkpoint))

    def move_cursor(self, target: str, sequence: int, checkpoint: int) -> None:
        """Remember what this target has."""
        columns = audit_exports.c
        values = {"sequence": sequence, "checkpoint": checkpoint}
        with self._database.transaction() as connection:
            moved = connection.execute(
                sql_update(audit_exports).where(columns.target == target).values(values)
            )
            if moved.rowcount == 0:
                connection.execute(insert(audit_exports).values(target=target, **values))

    def walk(self, *, after: int = 0, until: int | None = None) -> Iterator[StoredEvent]:
        """Return every event above `after`, up to `until`, a page at a time."""
        while page := self.list_events(after=after, limit=_PAGE):
            for event in page:
                if until is not None and event.sequence > until:
                    return
                yield event
            after = page[-1].sequence

    def verify(self, verifier: CheckpointVerifier) -> Verdict:
        """Walk the whole chain and every checkpoint. Never raises for what it finds.

        Events may be written meanwhile: what is read first can only be behind what is read later.
        """
        checkpoints = {one.sequence: one for one in self.list_checkpoints()}
        head = self.head()
        verdict, last = walk(
            self.walk(until=None if head is None else head[0]), checkpoints, verifier
        )
        if verdict.fault is not None:
            return verdict
        rows = verdict.rows
        if head is None:
            return Verdict(rows, len(checkpoints), "the head of the chain is missing", None)
        promised = max([head[0], *checkpoints])
        if promised > rows:
            fault = f"row {rows + 1} is missing: the head or a checkpoint names row {promised}"
            return Verdict(rows, len(checkpoints), fault, rows + 1)
        newest = self._newest()
        if head != (rows, last) or newest > (self.head() or (0,))[0]:
            fault = f"the head does not name row {max(rows, newest)}"
            return Verdict(rows, len(checkpoints), fault, max(rows, newest))
        return verdict

    def _newest(self) -> int:
        with self._database.reading() as connection:
            return int(connection.execute(select(func.max(audit_events.c.sequence))).scalar() or 0)


def _unavailable() -> AuditUnavailable:
    return AuditUnavailable("the audit log cannot be written, so nothing was done; try again later")


_canonical: Final = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, separators=(",", ":")
).encode


def _stored(row: Any) -> StoredEvent:
    return StoredEvent(
        sequence=int(row.sequence),
        at=row.at,
        action=row.action,
        actor=row.actor,
        detail=row.detail,
        previous=bytes(row.previous),
        hash=bytes(row.hash),
    )
