"""SQLite, opened so that nothing committed is forgotten and that processes may share a file."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event

from core.errors import Misconfigured

_WAL_ATTEMPTS: Final = 100
_WAL_PAUSE_SECONDS: Final = 0.01


def open_sqlite(url: str, path: Path) -> Engine:
    """Open a file of SQLite whose commits are on the disk. Raises `Misconfigured`."""
    if not path.parent.is_dir():
        raise Misconfigured(f"the directory of the database does not exist: {path.parent}")
    engine = create_engine(
        url,
        connect_args={"timeout": 30, "check_same_thread": False},
        pool_size=20,
        max_overflow=20,
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, below
        cursor = connection.cursor()
        _switch_to_wal(cursor)
        # FULL: a commit is on the disk when it returns; NORMAL could forget the last ones
        # after a power cut, and nothing issued may be forgotten.
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        reading = connection.get_execution_options().get("yinxin_reading", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def _switch_to_wal(cursor: Any) -> None:
    """Two processes that open a new file at once: the switch does not wait for the busy timeout."""
    for _ in range(_WAL_ATTEMPTS):
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            time.sleep(_WAL_PAUSE_SECONDS)
        else:
            return
    cursor.execute("PRAGMA journal_mode=WAL")
