"""The older protocols in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import delete, insert, select, update

from authn.legacy.store import Pass, Ticket
from authn.legacy.tables import gate_passes, tickets
from authn.sqlsessions import hold_session
from authn.tables import sessions
from core.db import Database


class SQLEntryStore:
    """`authn.legacy.store.EntryStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_ticket(self, ticket: Ticket) -> bool:
        with self._database.transaction() as connection:
            if not hold_session(connection, ticket.sid):
                return False
            connection.execute(insert(tickets).values(**asdict(ticket)))
        return True

    def take_ticket(self, digest: bytes) -> Ticket | None:
        with self._database.transaction() as connection:
            row = connection.execute(
                delete(tickets).where(tickets.c.digest == digest).returning(*tickets.c)
            ).first()
        return None if row is None else Ticket(**row._mapping)  # noqa: SLF001 - its public name

    def add_pass(self, entered: Pass) -> None:
        with self._database.transaction() as connection:
            connection.execute(insert(gate_passes).values(**asdict(entered)))

    def find_pass(self, digest: bytes) -> tuple[Pass, datetime] | None:
        rows = gate_passes
        wanted = (
            select(rows, sessions.c.seen_at)
            .join(sessions, sessions.c.sid == rows.c.sid)
            .where(rows.c.digest == digest)
        )
        with self._database.reading() as connection:
            row = connection.execute(wanted).first()
        if row is None:
            return None
        fields = dict(row._mapping)  # noqa: SLF001 - the same
        seen_at = fields.pop("seen_at")
        return Pass(**fields), seen_at

    def touch_session(self, sid: str, now: datetime) -> None:
        with self._database.transaction() as connection:
            connection.execute(update(sessions).where(sessions.c.sid == sid).values(seen_at=now))

    def remove_sessions(self, sids: Sequence[str]) -> None:
        with self._database.transaction() as connection:
            for table in (tickets, gate_passes):
                connection.execute(delete(table).where(table.c.sid.in_(sids)))
