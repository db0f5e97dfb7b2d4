"""The hierarchies of a test's world: held by ceremonies once a process, and then copied.

Making them costs ten times what a copy costs, and a thousand tests want some. The keys are the
same in every test (`tests.fakes.keys`); copies have the same serial numbers, too. Whoever asks for
an authority that is there already loads it, as a second start of the service does.
"""

from __future__ import annotations

import atexit
import sqlite3
from collections.abc import Hashable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from core.audit import AuditLog
from core.clock import Clock
from core.db import Database, metadata
from tests.fakes.audit import MemoryAuditLog
from tests.fakes.clock import FakeClock
from tests.fakes.keys import MemoryKeyBackend
from tests.unit.ca.linted import linted_once


@dataclass(frozen=True)
class _Kept:
    database: sqlite3.Connection
    keystore: MemoryKeyBackend
    events: list[tuple[str, str, dict[str, object]]]


_kept: dict[Hashable, _Kept] = {}


@contextmanager
def made_once(
    *which: Hashable, database: Database, keystore: MemoryKeyBackend, audit: AuditLog, clock: Clock
) -> Iterator[None]:
    """What is made meanwhile is there already if `which` was made before in this process.

    Only on a new SQLite database, at a time that stands still; else everything is made.
    """
    with linted_once():
        if not (
            type(database) is Database
            and database.engine.dialect.name == "sqlite"
            and isinstance(clock, FakeClock)
            and isinstance(audit, MemoryAuditLog)
            and (keystore.signed, audit.events) == ([], [])
        ):
            yield
            return
        key = (*which, clock.now(), len(metadata.tables))
        found = _kept.get(key)
        if found is not None:
            with closing(database.engine.raw_connection()) as connection:
                found.database.backup(_driver(connection))
            keystore.take(found.keystore)
            audit.events += [(action, actor, {**detail}) for action, actor, detail in found.events]
            yield
            return
        yield
        copy = sqlite3.connect(":memory:", check_same_thread=False)
        atexit.register(copy.close)
        with closing(database.engine.raw_connection()) as connection:
            _driver(connection).backup(copy)
        events = [(action, actor, {**detail}) for action, actor, detail in audit.events]
        _kept[key] = _Kept(copy, keystore.give(), events)


def _driver(connection: Any) -> sqlite3.Connection:
    made = connection.driver_connection
    assert isinstance(made, sqlite3.Connection)
    return made
