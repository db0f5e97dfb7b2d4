"""Noticing that somebody wrote to the database, without a query. Never the truth about what."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from contextlib import suppress
from typing import Final

import psycopg
from psycopg import sql
from sqlalchemy import event

from core.db import Database

log = logging.getLogger(__name__)

_AGAIN_SECONDS: Final = 30.0


class DatabaseWatch:
    """On SQLite it tells that nothing was written; on PostgreSQL it is woken by NOTIFY.

    `version` may be asked by any thread, one at a time; `wait` belongs to one thread.
    """

    def __init__(self, database: Database, channel: str) -> None:
        """`channel`: a word of ours, which is NOTIFYed in the transaction that writes."""
        self._engine = database.engine
        self._channel = channel
        self._sqlite: sqlite3.Connection | None = None
        self._opened = 0
        self._listening: psycopg.Connection | None = None
        self._try_again = 0.0
        event.listen(self._engine, "engine_disposed", lambda _: self._close())

    def version(self) -> int | None:
        """Return a number that is another one after each commit; None: this cannot be told."""
        if self._engine.dialect.name != "sqlite" or not self._engine.url.database:
            return None
        connection = self._sqlite
        if connection is None:
            connection = sqlite3.connect(self._engine.url.database, check_same_thread=False)
            self._sqlite, self._opened = connection, self._opened + 1
        with suppress(sqlite3.Error):
            # A change of the same process counts, too: this connection writes nothing.
            (number,) = connection.execute("PRAGMA data_version").fetchone()
            # Another connection, perhaps to another file, counts from the beginning.
            return self._opened << 64 | int(number)
        return None

    def wait(self, seconds: float, stop: threading.Event) -> None:
        """Wait for so long, less after a NOTIFY or when `stop` is set."""
        if self._engine.dialect.name == "postgresql":
            self._listen()
        listening = self._listening  # another thread may close it meanwhile
        if listening is None:
            stop.wait(seconds)
            return
        try:
            for _ in listening.notifies(timeout=seconds, stop_after=1):
                return
        except psycopg.Error:
            listening.close()
            self._listening = None
            stop.wait(seconds)

    def _listen(self) -> None:
        """Listen, again after a loss: a replica cannot, nor who is behind a pooler."""
        if self._listening is not None or time.monotonic() < self._try_again:
            return
        self._try_again = time.monotonic() + _AGAIN_SECONDS
        words, options = self._engine.dialect.create_connect_args(self._engine.url)
        try:
            connection = psycopg.connect(*words, autocommit=True, **options)
        except psycopg.Error:
            return
        try:
            connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._channel)))
        except psycopg.Error as error:
            log.info("the database cannot wake us", extra={"reason": str(error)})
            connection.close()
        else:
            self._listening = connection

    def _close(self) -> None:
        if self._sqlite is not None:
            self._sqlite.close()
            self._sqlite = None
        if self._listening is not None:
            self._listening.close()
            self._listening = None
