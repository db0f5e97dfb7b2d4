"""`ca.store.StatusLog` in SQL. The triggers of `ca.tables_status` write what is read here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, bindparam, cast, extract, literal_column, select

from ca.store import StatusEntry
from ca.tables_status import status_log
from core.db import Database

_C = status_log.c
_PORTION: Final = 100_000


def _seconds(column: Any) -> Any:
    return cast(extract("epoch", column), BigInteger)


_ENTRIES = select(
    _C.position,
    _C.mark,
    _C.issuer,
    _C.serial,
    _C.state,
    _C.reason,
    _seconds(_C.revoked_at),
    _seconds(_C.not_after),
    _seconds(_C.changed_at),
).order_by(_C.position)
_SINCE = _ENTRIES.where(_C.position >= bindparam("since")).limit(bindparam("most"))
_BINARY_TYPES: Final = ["int8", "int8", "text", "text", "text", "text", "int8", "int8", "int8"]


class SQLStatusLog:
    """The status log of one database, which may be a replica with a role that only reads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read_log(self, *, since: int, limit: int) -> Sequence[StatusEntry]:
        with self._database.reading() as connection:
            rows = connection.execute(_SINCE, {"since": since, "most": limit})
            return [StatusEntry._make(row) for row in rows]

    def walk_log(self, *, after: int) -> Iterator[Sequence[StatusEntry]]:
        with self._database.reading() as connection:
            if connection.dialect.name == "postgresql":
                yield from _copied(connection, after)
                return
            driver: Any = connection.connection.driver_connection
            cursor = driver.execute(_text(connection.dialect, after))
            while rows := cursor.fetchmany(_PORTION):
                yield [StatusEntry._make(row) for row in rows]


def _copied(connection: Any, after: int) -> Iterator[Sequence[StatusEntry]]:
    """COPY costs a third of what rows of a cursor do."""
    text = _text(connection.dialect, after)
    driver: Any = connection.connection.driver_connection
    with driver.cursor().copy(f"COPY ({text}) TO STDOUT (FORMAT BINARY)") as copy:
        copy.set_types(_BINARY_TYPES)
        portion: list[StatusEntry] = []
        for row in copy.rows():
            portion.append(StatusEntry._make(row))
            if len(portion) == _PORTION:
                yield portion
                portion = []
        if portion:
            yield portion


def _text(dialect: Any, after: int) -> str:
    # A number of ours, written into the text: COPY takes no parameters.
    statement = _ENTRIES.where(_C.position > literal_column(str(int(after))))
    return str(statement.compile(dialect=dialect))
