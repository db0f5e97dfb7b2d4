"""Removing what has expired, in small batches, so that no table grows for ever."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Column, delete, select

from authn import tables
from core.db import Database

_KEPT_AFTER_EXPIRY: Final = timedelta(hours=1)
"""Long enough to recognise a code that is used a second time."""

_EXPIRING: Final[tuple[Column[Any], ...]] = (
    tables.setup_links.c.expires_at,
    tables.login_addresses.c.free_at,
    tables.sessions.c.expires_at,
    tables.api_tokens.c.expires_at,
    tables.login_challenges.c.expires_at,
    tables.authorization_codes.c.expires_at,
    tables.access_tokens.c.expires_at,
)


def purge_expired(database: Database, *, now: datetime, batch: int = 1000) -> int:
    """Remove at most `batch` rows of each table. Returns how many went; run it again until 0."""
    before = now - _KEPT_AFTER_EXPIRY
    removed = 0
    for column in _EXPIRING:
        key = next(iter(column.table.primary_key.columns))
        oldest = select(key).where(column < before).order_by(column).limit(batch)
        with database.transaction() as connection:
            removed += connection.execute(delete(column.table).where(key.in_(oldest))).rowcount
    return removed
