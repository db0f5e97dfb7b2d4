"""The audit log as a hash chain in the database, with signed checkpoints.

Row n holds ``hash(n) = SM3(canonical JSON of {sequence, at, action, actor, detail, previous})``,
where ``previous`` is ``hash(n-1)``. The head row names the last sequence and hash, so that a
removed last row is found too. A checkpoint is a signature over sequence and hash: whoever
rewrites the whole chain, head included, still cannot make one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    bindparam,
    insert,
    select,
)
from sqlalchemy import update as sql_update
from sqlalchemy.exc import DBAPIError

from core.audit import Detail, Event
from core.clock import Clock
from core.db import Database, Sequence64, UTCDateTime, metadata
from core.errors import AuditUnavailable, InvalidSignature, Unavailable

audit_events = Table(
    "audit_events",
    metadata,
    Column("sequence", Sequence64, primary_key=True, autoincrement=False),
    Column("at", UTCDateTime, nullable=False),
    Column("action", String(64), nullable=False),
    Column("actor", String(200), nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous", LargeBinary(32), nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("sequence", Sequence64, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
)

audit_checkpoints = Table(
    "audit_checkpoints",
    metadata,
    Column("sequence", Sequence64, primary_key=True, autoincrement=False),
    Column("at", UTCDateTime, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    Column("signature", LargeBinary, nullable=False),
)

GENESIS = bytes(32)
"""What the first row has as its previous hash."""

_HEAD = 1
_PAGE = 1000

# Built once: every act of the service appends an event, and building a statement costs as much
# as running it.
_LOCK_HEAD = (
    select(audit_head.c.sequence, audit_head.c.hash)
    .where(audit_head.c.id == _HEAD)
    .with_for_update()
)
_ADD_EVENT = insert(audit_events)
_MOVE_HEAD = (
    sql_update(audit_head)
    .where(audit_head.c.id == _HEAD)
    .values(sequence=bindparam("to_sequence"), hash=bindparam("to_hash"))
)


class CheckpointSigner(Protocol):
    """The audit key."""

    def sign(self, message: bytes) -> bytes: ...

    def verify(self, message: bytes, signature: bytes) -> None:
        """Raises `InvalidSignature`."""
        ...


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One row of the chain."""

    sequence: int
    at: datetime
    action: str
    actor: str
    detail: str
    """Canonical JSON."""
    previous: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verification found."""

    rows: int
    checkpoints: int
    fault: str | None
    """None: the chain is whole. Otherwise one sentence that names the first bad row."""
    first_bad: int | None


def event_hash(event: StoredEvent) -> bytes:
    """Return SM3 over the canonical form of one event; its own `hash` is not part of it."""
    body = json.dumps(
        [
            event.sequence,
            event.at.isoformat(),
            event.action,
            event.actor,
            event.detail,
            event.previous.hex(),
        ],
        ensure_ascii=False,
        separators=(",", ":"),
    )
    return hashlib.new("sm3", body.encode()).digest()


_COLUMNS = tuple(field.name for field in fields(StoredEvent))


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
            raise AuditUnavailable(
                "the audit log cannot be written, so nothing was done; try again later"
            ) from error

    def _append(self, connection: Connection, events: Sequence[Event]) -> None:
        # The head row is the lock: events queue here, and their order is the order of commits.
        head = connection.execute(_LOCK_HEAD).first()
        if head is None:
            raise AuditUnavailable("the head of the audit chain is missing; see audit verify")
        at, sequence, previous = self._clock.now(), int(head.sequence), bytes(head.hash)
        rows: list[dict[str, Any]] = []
        for event in events:
            sequence += 1
            row = StoredEvent(
                sequence=sequence,
                at=at,
                action=event.action,
                actor=event.actor,
                detail=_canonical(event.detail),
                previous=previous,
                hash=b"",
            )
            previous = event_hash(row)
            rows.append({name: getattr(row, name) for name in _COLUMNS} | {"hash": previous})
        connection.execute(_ADD_EVENT, rows)
        connection.execute(_MOVE_HEAD, {"to_sequence": sequence, "to_hash": previous})

    def list_events(
        self,
        *,
        after: int = 0,
        limit: int = 100,
        action: str | None = None,
        actor: str | None = None,
    ) -> list[StoredEvent]:
        """Return events with a sequence above `after`, oldest first."""
        query = (
            select(audit_events)
            .where(audit_events.c.sequence > after)
            .order_by(audit_events.c.sequence)
            .limit(limit)
        )
        if action is not None:
            query = query.where(audit_events.c.action == action)
        if actor is not None:
            query = query.where(audit_events.c.actor == actor)
        with self._database.reading() as connection:
            return [_stored(row) for row in connection.execute(query)]

    def checkpoint(self, signer: CheckpointSigner) -> int | None:
        """Sign the present head, if it moved since the last checkpoint. Returns its sequence."""
        with self._database.transaction() as connection:
            head = connection.execute(
                select(audit_head.c.sequence, audit_head.c.hash).where(audit_head.c.id == _HEAD)
            ).first()
            if head is None or head.sequence == 0:
                return None
            known = connection.execute(
                select(audit_checkpoints.c.sequence).where(
                    audit_checkpoints.c.sequence == head.sequence
                )
            ).first()
            if known is not None:
                return None
            sequence, digest = int(head.sequence), bytes(head.hash)
            connection.execute(
                insert(audit_checkpoints).values(
                    sequence=sequence,
                    at=self._clock.now(),
                    hash=digest,
                    signature=signer.sign(checkpoint_message(sequence, digest)),
                )
            )
            return sequence

    def verify(self, signer: CheckpointSigner) -> Verdict:
        """Walk the whole chain and every checkpoint. Never raises for what it finds."""
        with self._database.reading() as connection:
            checkpoints = {
                int(row.sequence): (bytes(row.hash), bytes(row.signature))
                for row in connection.execute(select(audit_checkpoints))
            }
            rows, previous = 0, GENESIS
            for stored in _walk(connection):
                fault = _fault(stored, rows + 1, previous)
                if fault is None and stored.sequence in checkpoints:
                    fault = _checkpoint_fault(stored, *checkpoints[stored.sequence], signer)
                if fault is not None:
                    return Verdict(rows, len(checkpoints), fault, rows + 1)
                rows, previous = rows + 1, stored.hash
            head = connection.execute(
                select(audit_head.c.sequence, audit_head.c.hash).where(audit_head.c.id == _HEAD)
            ).first()
        if head is None:
            return Verdict(rows, len(checkpoints), "the head of the chain is missing", None)
        promised = max([int(head.sequence), *checkpoints])
        if promised > rows:
            fault = f"row {rows + 1} is missing: the head or a checkpoint names row {promised}"
            return Verdict(rows, len(checkpoints), fault, rows + 1)
        if head.sequence != rows or bytes(head.hash) != previous:
            return Verdict(rows, len(checkpoints), f"the head does not name row {rows}", rows)
        return Verdict(rows, len(checkpoints), None, None)


def checkpoint_message(sequence: int, digest: bytes) -> bytes:
    """Return the octets that a checkpoint signs."""
    return b"yinxin audit checkpoint\x00" + sequence.to_bytes(8, "big") + digest


def _canonical(detail: Detail) -> str:
    return json.dumps(detail, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _walk(connection: Connection) -> Iterator[StoredEvent]:
    after = 0
    while True:
        page = connection.execute(
            select(audit_events)
            .where(audit_events.c.sequence > after)
            .order_by(audit_events.c.sequence)
            .limit(_PAGE)
        ).all()
        if not page:
            return
        for row in page:
            yield _stored(row)
        after = page[-1].sequence


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


def _fault(stored: StoredEvent, expected: int, previous: bytes) -> str | None:
    if stored.sequence != expected:
        return f"row {expected} is missing: the next one is row {stored.sequence}"
    if stored.previous != previous:
        return f"row {expected} does not follow row {expected - 1}: its previous hash differs"
    if event_hash(stored) != stored.hash:
        return f"row {expected} was changed: its hash does not match its content"
    return None


def _checkpoint_fault(
    stored: StoredEvent, digest: bytes, signature: bytes, signer: CheckpointSigner
) -> str | None:
    if digest != stored.hash:
        return f"row {stored.sequence} was rewritten: the signed checkpoint names another hash"
    try:
        signer.verify(checkpoint_message(stored.sequence, digest), signature)
    except InvalidSignature:
        return f"the checkpoint at row {stored.sequence} has no valid signature"
    return None
