"""Fixtures that every test may use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.db import Database
from tests import cheap, databases, postgres
from tests.fakes.audit import MemoryAuditLog
from tests.fakes.clock import FakeClock

cheap.routes()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def audit() -> MemoryAuditLog:
    return MemoryAuditLog()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with postgres.server() as url:
        yield url


@pytest.fixture
def sqlite_database(tmp_path: Path) -> Iterator[Database]:
    """A SQLite database with every imported table."""
    database = databases.sqlite(tmp_path)
    yield database
    database.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """The same test on both databases, with every imported table."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_database")
        return
    opened = databases.on_postgres(request.getfixturevalue("postgres_url"))
    yield opened
    opened.close()


@pytest.fixture
def run_together() -> Callable[[list[Callable[[], object]]], list[object]]:
    """Run functions at the same time, each in a thread; the first error is raised."""

    def run(acts: list[Callable[[], object]]) -> list[object]:
        with ThreadPoolExecutor(len(acts)) as pool:
            return [future.result() for future in [pool.submit(act) for act in acts]]

    return run
