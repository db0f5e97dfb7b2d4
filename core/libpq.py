"""Running one statement through libpq alone: values in, rows out, no cursor between.

psycopg opens the connections and gives libpq's calls (`psycopg.pq`); its cursors and SQLAlchemy's,
which find out anew for each call what a statement wants, cost ten times what libpq does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import psycopg
from psycopg import errors
from psycopg.pq import ConnStatus, ExecStatus, Format, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult
from sqlalchemy.exc import DBAPIError

from core.errors import Malformed

Values = Sequence[object]
Connected = psycopg.Connection[Any]

_INTEGERS: Final = 1 << 63
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_MOST_IDLE: Final = 20
_DONE: Final = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)
_IDLE_SECONDS: Final = 1.0
"""A connection that was used less long ago is taken to be alive."""


class Done(NamedTuple):
    """What a statement gave."""

    rows: list[tuple[Any, ...]]
    changed: int
    """Of rows that it wrote, or gave."""


def check_text(value: str) -> bytes:
    """Return the octets of a text. Raises `Malformed` for one that a database cannot hold."""
    # PostgreSQL has no NUL in text; SQLite's functions take it for the end.
    if "\0" in value:
        raise Malformed("a text holds a NUL character")
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise Malformed("a text holds half a surrogate pair") from error


def check_integer(value: int) -> None:
    """Raises `Malformed` for a number that a database cannot hold."""
    if not -_INTEGERS <= value < _INTEGERS:
        raise Malformed("a number is larger than 64 bits")


def run_in_transaction(connection: Connected, statement: bytes, values: Values) -> Done:
    """Run a statement in the transaction of a connection, and begin it if there is none.

    Not prepared: psycopg forgets what is prepared (DEALLOCATE ALL) when a transaction is undone.
    """
    pgconn = connection.pgconn
    encoded, formats = _encoded(values)
    with _wrapped():
        if not connection.autocommit and pgconn.transaction_status == TransactionStatus.IDLE:
            _done(pgconn, pgconn.exec_(b"BEGIN"))
        return _done(pgconn, pgconn.exec_params(statement, encoded, None, formats, Format.BINARY))


def commit(connection: Connected) -> None:
    """Commit the transaction of a connection, if there is one. Raises as psycopg does."""
    pgconn = connection.pgconn
    if pgconn.transaction_status == TransactionStatus.IDLE:
        return
    if pgconn.transaction_status != TransactionStatus.INTRANS:
        connection.commit()  # it says what is wrong
        return
    result = pgconn.exec_(b"COMMIT")
    if result.status != ExecStatus.COMMAND_OK:
        raise errors.error_from_result(result)


class Direct:
    """Connections on which each statement is its own transaction, prepared once on each of them."""

    def __init__(self, connect: Callable[[], Connected]) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._idle: list[_Line] = []
        self._closed = False

    def run(self, name: bytes, statement: bytes, values: Values) -> Done:
        """Run a statement; durable when it returns. Raises `DBAPIError`, `Malformed`."""
        encoded, formats = _encoded(values)
        line = self._take()
        try:
            return line.run(name, statement, encoded, formats)
        finally:
            self._give_back(line)

    def close(self) -> None:
        """Close what is idle; what is in use is closed when it comes back."""
        with self._lock:
            self._closed, idle, self._idle = True, self._idle, []
        for line in idle:
            line.connection.close()

    def _take(self) -> _Line:
        while True:
            with self._lock:
                line = self._idle.pop() if self._idle else None
            if line is None:
                return _Line(self._connect())
            if line.is_alive():
                return line
            line.connection.close()

    def _give_back(self, line: _Line) -> None:
        line.since = time.monotonic()
        with self._lock:
            keep = (
                not self._closed
                and len(self._idle) < _MOST_IDLE
                and line.connection.pgconn.status == ConnStatus.OK
            )
            if keep:
                self._idle.append(line)
        if not keep:
            line.connection.close()


class _Line:
    """One connection, and what is prepared on it."""

    def __init__(self, connection: Connected) -> None:
        connection.autocommit = True
        self.connection = connection
        self.since = time.monotonic()
        self._prepared: set[bytes] = set()

    def is_alive(self) -> bool:
        if time.monotonic() - self.since < _IDLE_SECONDS:
            return True
        try:
            self.connection.pgconn.exec_(b"")
        except psycopg.Error:
            return False
        return self.connection.pgconn.status == ConnStatus.OK

    def run(
        self,
        name: bytes,
        statement: bytes,
        encoded: list[bytes | None],
        formats: list[int],
    ) -> Done:
        pgconn = self.connection.pgconn
        with _wrapped():
            if name not in self._prepared:
                _done(pgconn, pgconn.prepare(name, statement))
                self._prepared.add(name)
            return _done(
                pgconn,
                pgconn.exec_prepared(name, encoded, formats, Format.BINARY),  # type: ignore[arg-type]  # None is NULL
            )


def _encoded(values: Values) -> tuple[list[bytes | None], list[int]]:
    """Write values for parameters: octets as they are, all else as text, which PostgreSQL reads."""
    encoded: list[bytes | None] = []
    formats: list[int] = []
    for value in values:
        formats.append(Format.BINARY if isinstance(value, bytes) else Format.TEXT)
        if value is None or isinstance(value, bytes):
            encoded.append(value)
        elif isinstance(value, str):
            encoded.append(check_text(value))
        elif isinstance(value, datetime):
            if value.tzinfo is None:
                raise ValueError("a naive time was about to be stored")
            encoded.append(value.isoformat().encode())
        elif isinstance(value, int):  # a truth value, too
            check_integer(value)
            encoded.append(str(int(value)).encode())
        else:
            raise TypeError(f"a {type(value).__name__} is not stored like this")
    return encoded, formats


def _done(pgconn: PGconn, result: PGresult) -> Done:
    if result.status not in _DONE:
        raise _error(pgconn, result)
    columns = range(result.nfields)
    readers = [_READERS[result.ftype(column)] for column in columns]
    rows = [
        tuple(
            None if (octets := result.get_value(row, column)) is None else readers[column](octets)
            for column in columns
        )
        for row in range(result.ntuples)
    ]
    return Done(rows, result.command_tuples or 0)


@contextmanager
def _wrapped() -> Iterator[None]:
    """Raise what libpq refuses to do at all (the connection is gone) as SQLAlchemy would."""
    try:
        yield
    except psycopg.Error as error:
        raise _as_sqlalchemy(error, lost=True) from error


def _error(pgconn: PGconn, result: PGresult) -> Exception:
    original = errors.error_from_result(result)
    if original.diag.message_primary is not None:
        # Without DETAIL: it quotes the row, and errors reach logs.
        original.args = (original.diag.message_primary,)
    return _as_sqlalchemy(original, lost=pgconn.status != ConnStatus.OK)


def _as_sqlalchemy(error: psycopg.Error, *, lost: bool) -> Exception:
    return DBAPIError.instance(
        None, None, error, psycopg.Error, hide_parameters=True, connection_invalidated=lost
    )


def _integer(octets: bytes) -> int:
    return int.from_bytes(octets, "big", signed=True)


def _time(octets: bytes) -> datetime:
    return _EPOCH + timedelta(microseconds=_integer(octets))


_READERS: Final[Mapping[int, Callable[[bytes], Any]]] = {
    16: lambda octets: octets == b"\1",  # boolean
    17: bytes,  # bytea
    **dict.fromkeys((20, 21, 23), _integer),
    **dict.fromkeys((19, 25, 1042, 1043), bytes.decode),  # name, text, character
    1184: _time,  # timestamp with time zone
}
"""How the binary form of a type is read (`pg_type.oid`)."""
