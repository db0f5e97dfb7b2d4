"""Every test of the revocation routes again, on the raw connection of the service."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

from core.db import Database
from tests.fakes.audit import MemoryAuditLog
from tests.fakes.clock import FakeClock
from tests.integration.plane import running_plane
from tests.unit.crl.test_routes import *  # noqa: F403 - the tests, with the client below
from tests.unit.crl.world import World


@pytest.fixture
def world(sqlite_database: Database, clock: FakeClock, audit: MemoryAuditLog) -> World:
    return World(sqlite_database, "ec", clock=clock, audit=audit)


@pytest.fixture
def client(world: World) -> Iterator[httpx2.Client]:
    with running_plane(world) as plane, httpx2.Client(base_url=plane.url) as opened:
        yield opened
