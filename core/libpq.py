"""Running one statement through libpq alone: values in, rows out, no cursor between.

psycopg opens the connections and gives libpq's calls (`psycopg.pq`); its cursors and SQLAlchemy's,
which find out anew for each call what a statement wants, cost ten times what libpq does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import psycopg
from psycopg import errors
from psycopg.pq import ConnStatus, ExecStatus, Format
from psycopg.pq.abc import PGconn, PGresult
from sqlalchemy.exc import DBAPIError

from core.errors import Malformed

Values = Sequence[object]
Connected = psycopg.Connection[Any]

_INTEGERS: Final = 1 << 63
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_BINARY: Final = int(Format.BINARY)
_TEXT: Final = int(Format.TEXT)
_IN_BINARY: Final = (bytes, datetime)
_DONE: Final = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)


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


def encoded(values: Values) -> tuple[list[bytes | None], list[int]]:
    """Write values for parameters: octets and times in binary, all else as text."""
    formats = [_BINARY if isinstance(value, _IN_BINARY) else _TEXT for value in values]
    return [_WRITERS.get(type(value), _written)(value) for value in values], formats


def _written(value: object) -> bytes:
    for kind, write in _WRITERS.items():  # a `StrEnum` is a text
        if isinstance(value, kind):
            return write(value) or b""
    raise TypeError(f"a {type(value).__name__} is not stored like this")


def _write_time(value: datetime) -> bytes:
    if value.tzinfo is None:
        raise ValueError("a naive time was about to be stored")
    since = value - _EPOCH
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds).to_bytes(
        8, "big", signed=True
    )


def _write_integer(value: int) -> bytes:
    check_integer(value)
    return b"%d" % value  # a truth value, too


_WRITERS: Final[Mapping[type, Callable[[Any], bytes | None]]] = {
    bytes: lambda octets: octets,
    type(None): lambda _: None,
    str: check_text,
    datetime: _write_time,
    int: _write_integer,
}


def done(pgconn: PGconn, result: PGresult) -> Done:
    """Read a result. Raises `DBAPIError` for one that is an error."""
    if result.status not in _DONE:
        raise _error(pgconn, result)
    value = result.get_value
    readers = [(column, _READERS[result.ftype(column)]) for column in range(result.nfields)]
    rows = [
        tuple(
            [
                None if (octets := value(row, column)) is None else read(octets)
                for column, read in readers
            ]
        )
        for row in range(result.ntuples)
    ]
    return Done(rows, result.command_tuples or 0)


def lost(error: psycopg.Error) -> Exception:
    """Return what libpq refuses to do at all (the connection is gone) as SQLAlchemy says it."""
    return _as_sqlalchemy(error, lost=True)


def _error(pgconn: PGconn, result: PGresult) -> Exception:
    original = errors.error_from_result(result)
    if original.diag.message_primary is not None:
        # Without DETAIL: it quotes the row, and errors reach logs.
        original.args = (original.diag.message_primary,)
    # An error that PostgreSQL says has a code; without one it is libpq's own, and the connection is
    # gone, even if libpq has not noticed all of it yet.
    gone = pgconn.status != ConnStatus.OK or original.sqlstate is None
    return _as_sqlalchemy(original, lost=gone)


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
