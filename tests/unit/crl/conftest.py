from __future__ import annotations

from collections.abc import Callable

import pytest

from core.db import Database
from tests.fakes.audit import MemoryAuditLog
from tests.fakes.clock import FakeClock
from tests.unit.crl.world import World

MakeWorld = Callable[..., World]


@pytest.fixture
def make_world(sqlite_database: Database, clock: FakeClock, audit: MemoryAuditLog) -> MakeWorld:
    def make(*families: str, **options) -> World:
        return World(sqlite_database, *families, clock=clock, audit=audit, **options)

    return make


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """One EC root and issuing CA: the fastest."""
    return make_world("ec")
