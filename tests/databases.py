"""Databases with every imported table.

The tables are made once and then copied: making them costs a hundred times what a copy costs, and
hundreds of tests want some.
"""

from __future__ import annotations

import atexit
import secrets
import shutil
import tempfile
from functools import cache
from pathlib import Path

from core.audit_sql import SQLAuditLog
from core.clock import SystemClock
from core.db import Database, metadata, open_database
from tests import postgres


def sqlite(directory: Path, name: str = "test.sqlite3") -> Database:
    """A new SQLite database in the directory. The caller closes it."""
    path = directory / name
    shutil.copyfile(_sqlite_model(len(metadata.tables)), path)
    return open_database(f"sqlite:///{path}")


def on_postgres(server: str, name: str | None = None) -> Database:
    """A new database on the server whose url is given. The caller closes it."""
    model = _postgres_model(server, len(metadata.tables))
    return open_database(
        postgres.fresh_database(server, name or f"t{secrets.token_hex(8)}", model=model)
    )


def lay_tables(state: Path) -> None:
    """Put a database into a state directory without one, as `yinxin database upgrade` leaves it.

    Migrating from nothing costs as much as all the rest of a start.
    """
    path = state / "yinxin.sqlite3"
    if path.exists():
        return
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    shutil.copyfile(_migrated(), path)


@cache
def _migrated() -> Path:
    from yinxin.schema import upgrade  # it imports every table: what a unit test need not know

    path = _directory() / "migrated.sqlite3"
    database = open_database(f"sqlite:///{path}")
    upgrade(database)
    SQLAuditLog(database, clock=SystemClock()).initialise()
    database.close()
    return path


@cache
def _directory() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="yinxin-model-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


@cache
def _sqlite_model(tables: int) -> Path:
    # A test file imported later may bring more tables: so a model for each number of them.
    path = _directory() / f"{tables}.sqlite3"
    _make(open_database(f"sqlite:///{path}"))
    return path


@cache
def _postgres_model(server: str, tables: int) -> str:
    name = f"model{tables}"
    _make(open_database(postgres.fresh_database(server, name)))
    return name


def _make(database: Database) -> None:
    metadata.create_all(database.engine)
    database.close()
