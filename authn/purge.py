"""Removing what has expired, in small batches, so that no table grows for ever.

Sessions are not here: applications hear of their end (`authn.sessions.Sessions.end_timed_out`).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Column, delete, select

from authn import tables
from authn.legacy import tables as legacy_tables
from authn.oidc import tables as oidc
from core.db import Database

_KEPT_AFTER_EXPIRY: Final = timedelta(hours=1)
"""Long enough to recognise a code that is used a second time."""

_EXPIRING: Final[tuple[tuple[Column[Any], timedelta], ...]] = (
    (tables.setup_links.c.expires_at, _KEPT_AFTER_EXPIRY),
    (tables.login_addresses.c.free_at, _KEPT_AFTER_EXPIRY),
    (tables.api_tokens.c.expires_at, _KEPT_AFTER_EXPIRY),
    (legacy_tables.tickets.c.expires_at, timedelta()),
    (legacy_tables.gate_passes.c.expires_at, timedelta()),
    # Anybody can ask for challenges, so they go at once.
    (tables.login_challenges.c.expires_at, timedelta()),
    (oidc.codes.c.expires_at, _KEPT_AFTER_EXPIRY),
    (oidc.access_tokens.c.expires_at, _KEPT_AFTER_EXPIRY),
    (oidc.pushed_requests.c.expires_at, _KEPT_AFTER_EXPIRY),
    (oidc.device_codes.c.expires_at, _KEPT_AFTER_EXPIRY),
    (oidc.initial_tokens.c.expires_at, _KEPT_AFTER_EXPIRY),
    (oidc.replays.c.expires_at, timedelta()),
    (oidc.refresh_tokens.c.expires_at, _KEPT_AFTER_EXPIRY),
)


def purge_expired(database: Database, *, now: datetime, batch: int = 1000) -> int:
    """Remove at most `batch` rows of each table. Returns how many went; run it again until 0."""
    removed = 0
    for column, kept in _EXPIRING:
        key = next(iter(column.table.primary_key.columns))
        oldest = select(key).where(column < now - kept).order_by(column).limit(batch)
        with database.transaction() as connection:
            removed += connection.execute(delete(column.table).where(key.in_(oldest))).rowcount
    return removed


def purge_all_expired(database: Database, *, now: datetime, batch: int = 1000) -> int:
    """Remove all of it, batch by batch. Returns how many rows went.

    All: strangers can make rows faster than one batch a minute goes.
    """
    total = 0
    while removed := purge_expired(database, now=now, batch=batch):
        total += removed
    return total
