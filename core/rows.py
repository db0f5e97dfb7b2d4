"""Many rows by one statement that does not grow with them.

SQLite's driver takes a list of rows cheaply. For PostgreSQL each row of a list is a message of its
own, put together in Python; there the rows go as one JSON text, which the database takes apart.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import count
from typing import Any, Final

from sqlalchemy import Column, Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

from core.db import UTCDateTime
from core.libpq import Done, check_text
from core.lines import Written, line_of
from core.statements import Processor

Rows = Sequence[Mapping[str, Any]]

_PLAIN: Final = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy says nothing
_SQLITE: Final = sqlite.dialect()
_MOST_TOGETHER: Final = 256
"""Rows of one statement that returns something: SQLite takes 32766 values."""
_NUMBERS: Final = count(1)
_NUL: Final = "\\u0000"


def insert_rows(
    connection: Connection,
    table: Table,
    rows: Rows,
    *,
    returning: tuple[str, ...] = (),
    wait: bool = True,
) -> Sequence[tuple[Any, ...]]:
    """Insert rows that all have the columns of the first.

    Returns what stands in the columns `returning` of each, in no certain order. Without `wait` they
    go to PostgreSQL with the next statement of the transaction, which raises what is wrong with
    them (`Database.send`). A `Database` does not notice these writes (`Database.version`).
    """
    if not rows:
        return ()
    if connection.dialect.name == "postgresql":
        statement = _insertion(table, tuple(rows[0]), returning)
        if wait or returning:
            return run_rows(connection, statement, rows).rows
        line_of(connection.connection).send(_named(statement), (as_json(rows),))
        return ()
    columns = tuple(rows[0])
    writers = _writers(table, columns)
    given = [_values(row, writers) for row in rows]
    if not returning:
        connection.exec_driver_sql(_on_sqlite(table, columns, 1), given)
        return ()
    found: list[tuple[Any, ...]] = []
    for start in range(0, len(given), _MOST_TOGETHER):
        some = given[start : start + _MOST_TOGETHER]
        text = _on_sqlite(table, columns, len(some)) + _end(returning)
        flat = tuple(value for row in some for value in row)
        found += map(tuple, connection.exec_driver_sql(text, flat))
    return found


def run_rows(connection: Connection, statement: bytes, rows: Rows) -> Done:
    """Run a statement of PostgreSQL over rows (`recordset`)."""
    return line_of(connection.connection).run(_named(statement), (as_json(rows),))


@lru_cache(maxsize=256)
def _named(statement: bytes) -> Written:
    """Give a statement the name under which it is prepared."""
    return Written(b"yinxin_rows_%d" % next(_NUMBERS), statement)


def as_json(rows: Rows) -> str:
    """Write rows for `recordset`. Raises `Malformed` for text that the database cannot hold."""
    text = _encode(rows)
    if _NUL in text:  # or a backslash in front of these letters
        for row in rows:
            for value in row.values():
                if isinstance(value, str):
                    check_text(value)
    check_text(text)
    return text


def recordset(columns: Mapping[str, Column[Any]]) -> str:
    """Return what stands for the rows of `as_json` in a statement of PostgreSQL, named ``r``.

    `columns`: of which column's type each value is.
    """
    kinds = (f"{name} {column.type.compile(_PLAIN)}" for name, column in columns.items())
    return f"json_to_recordset($1) AS r({', '.join(kinds)})"


@lru_cache(maxsize=256)
def _insertion(table: Table, columns: tuple[str, ...], returning: tuple[str, ...]) -> bytes:
    names = ", ".join(columns)
    values = ", ".join(f"r.{name}" for name in columns)
    statement = f"INSERT INTO {table.name} ({names}) SELECT {values} FROM "  # noqa: S608  # our own words
    these = recordset({name: table.c[name] for name in columns})
    return (statement + these + _end(returning)).encode()


@lru_cache(maxsize=512)
def _on_sqlite(table: Table, columns: tuple[str, ...], rows: int) -> str:
    values = f"({', '.join('?' * len(columns))})"
    names = ", ".join(columns)
    return f"INSERT INTO {table.name} ({names}) VALUES {', '.join([values] * rows)}"  # noqa: S608  # our own words


@lru_cache(maxsize=256)
def _writers(table: Table, columns: tuple[str, ...]) -> tuple[tuple[str, Processor], ...]:
    return tuple((name, _writer(table.c[name])) for name in columns)


def _writer(column: Column[Any]) -> Processor:
    writer = column.type.dialect_impl(_SQLITE).bind_processor(_SQLITE)
    if writer is None or not isinstance(column.type, UTCDateTime):
        return writer
    # Rows that are written together have few times.
    return lru_cache(maxsize=64)(writer)


def _values(row: Mapping[str, Any], writers: tuple[tuple[str, Processor], ...]) -> tuple[Any, ...]:
    """Return the values by name: rows need not be written down in one order."""
    if len(row) != len(writers):
        raise ValueError("rows of one statement have the same columns")
    return tuple([row[name] if writer is None else writer(row[name]) for name, writer in writers])


def _end(returning: tuple[str, ...]) -> str:
    return f" RETURNING {', '.join(returning)}" if returning else ""


def _written(value: object) -> str:
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.isoformat()
    raise ValueError(f"a {type(value).__name__} is not stored like this")


_encode: Final = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), default=_written
).encode
