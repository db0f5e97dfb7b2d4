"""Removing what has expired, in small batches with rests between, so that no table grows for ever.

Sessions are not here: applications hear of their end (`authn.sessions.Sessions.end_timed_out`).
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import Column, Integer, bindparam, delete, literal_column, select

from authn import tables
from authn.legacy import tables as legacy_tables
from authn.oidc import tables as oidc
from core.clock import Clock
from core.db import Database
from core.statements import Statement

EVERY_SECONDS: Final = 60
BATCH: Final = 100
_LONGEST_SECONDS: Final = 180
_REST: Final = 8
"""How many times as long as a batch took nothing is removed after it: others come first."""
_LEAST_REST_SECONDS: Final = 0.01
_KEPT_AFTER_EXPIRY: Final = timedelta(hours=1)
"""Long enough to recognise a code that is used a second time."""
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)


class _Expiring(NamedTuple):
    """How a table is purged: by its index, from where the batch before ended.

    PostgreSQL keeps what is deleted in the index for a while: from the beginning, each batch would
    pass over all the ones before. Rows of one microsecond go together.
    """

    last: Statement
    """Finds the time of the last row of a batch."""
    remove: Statement
    kept: timedelta


def _expiring(column: Column[Any], kept: timedelta, batch: int) -> _Expiring:
    after = column >= bindparam("after")
    last = (
        select(column.label("at"))
        .where(after, column < bindparam("before"))
        .order_by(column)
        # In the text: a plan for any number reads the table.
        .limit(literal_column("1", Integer))
        .offset(literal_column(str(batch - 1), Integer))
    )
    remove = delete(column.table).where(after, column <= bindparam("upto"))
    return _Expiring(Statement(last), Statement(remove), kept)


_COLUMNS: Final[tuple[tuple[Column[Any], timedelta], ...]] = (
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


class Purge:
    """Removes what has expired, for a thread of its own."""

    def __init__(self, database: Database, *, clock: Clock, batch: int = BATCH) -> None:
        self._database = database
        self._clock = clock
        self._expiring = [_expiring(column, kept, batch) for column, kept in _COLUMNS]
        self._stop = threading.Event()

    def stop(self) -> None:
        """Have `run` end after its present batch."""
        self._stop.set()

    def run(self) -> int:
        """Remove all of it, or as much as goes in three minutes. Returns how many rows went.

        All: strangers can make rows faster than one batch a minute goes. The tables take turns,
        so that one that is full does not keep the others.
        """
        now, ends = self._clock.now(), time.monotonic() + _LONGEST_SECONDS
        left = [(one, _BEGINNING) for one in self._expiring]
        removed = 0
        while left:
            one, after = left.pop(0)
            begun = time.monotonic()
            gone, last = self._remove(one, after, now - one.kept)
            took = time.monotonic() - begun
            removed += gone
            if last is None:
                continue
            left.append((one, last))
            if begun > ends or self._stop.wait(max(_LEAST_REST_SECONDS, _REST * took)):
                break
        return removed

    def _remove(
        self, one: _Expiring, after: datetime, before: datetime
    ) -> tuple[int, datetime | None]:
        """Remove a batch; return how many went, and the time of the last if there may be more."""
        last = self._database.run(one.last, {"after": after, "before": before}).first()
        # Of the last batch what is as old as `before` may go, too.
        upto = before if last is None else last.at
        gone = self._database.run_lightly(one.remove, {"after": after, "upto": upto}).changed
        return gone, None if last is None else upto
