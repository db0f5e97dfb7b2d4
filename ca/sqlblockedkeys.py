"""`ca.blockedkeys.BlockedKeyStore` in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

from ca.blockedkeys import BlockedKey
from ca.tables_massrevocation import blocked_keys
from core.db import Database


class SQLBlockedKeyStore:
    """Blocked keys on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_blocked_key(self, key: BlockedKey) -> bool:
        try:
            with self._database.transaction() as connection, connection.begin_nested():
                connection.execute(insert(blocked_keys).values(asdict(key)))
        except IntegrityError:
            return False
        return True

    def stamp_of_blocked_keys(self) -> tuple[int, int]:
        statement = select(func.count(), func.max(blocked_keys.c.number))
        with self._database.reading() as connection:
            count, last = connection.execute(statement).one()
        return int(count), int(last or 0)

    def list_blocked_keys(
        self, *, after: int = 0, limit: int | None = None
    ) -> Sequence[tuple[int, BlockedKey]]:
        statement = (
            select(blocked_keys)
            .where(blocked_keys.c.number > after)
            .order_by(blocked_keys.c.number)
            .limit(limit)
        )
        with self._database.reading() as connection:
            rows = connection.execute(statement).all()
        return [
            (
                int(row.number),
                BlockedKey(row.spki_fingerprint, row.reason, row.actor, row.blocked_at),
            )
            for row in rows
        ]
