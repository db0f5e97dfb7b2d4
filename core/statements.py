"""Statements that every request runs: written down once, and run without SQLAlchemy's machinery.

SQLAlchemy still writes the SQL, from the same tables and for both databases. What it does for each
execution (keys of caches, contexts, results with names) costs ten times what the statement costs.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import count
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Delete, Dialect, Insert, Select, Table, Update
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine

from core.libpq import Done
from core.lines import Direct, Written, line_of

Processor = Callable[[Any], Any] | None
Values = Mapping[str, Any]

_DOLLARS: Final = postgresql.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]  # SQLAlchemy says nothing
_NUMBERS: Final = count(1)


class Ran(NamedTuple):
    """What a statement gave."""

    rows: Sequence[Any]
    """Named tuples of what it selects or returns."""
    changed: int
    """How many rows it wrote."""

    def first(self) -> Any | None:
        """Return the first row, if there is one."""
        return self.rows[0] if self.rows else None


class _Form(NamedTuple):
    """The statement as one of the databases takes it."""

    text: str
    written: Written
    names: tuple[str, ...]
    """Of its parameters, in order."""
    fixed: Mapping[str, Any]
    writers: Sequence[tuple[int, Callable[[Any], Any]]]
    """Of those parameters that are not written as they are, with their places."""
    readers: Sequence[Processor]

    def values(self, given: Mapping[str, Any]) -> list[Any]:
        if self.fixed:
            given = {**self.fixed, **given}
        values = [given[name] for name in self.names]
        for place, write in self.writers:
            values[place] = write(values[place])
        return values


class Statement:
    """One statement of SQLAlchemy Core; its `bindparam` names are the values it wants.

    Values may be texts, octets, whole numbers, truth values and aware times. A list for IN is not
    for it: the text would change with its length.
    """

    def __init__(self, statement: Select[Any] | Insert | Update | Delete) -> None:
        self._statement = statement
        self._name = b"yinxin_%d" % next(_NUMBERS)
        self._forms: dict[str, _Form] = {}
        gives = isinstance(statement, Select) or bool(statement.exported_columns)
        columns = tuple(statement.exported_columns) if gives else ()
        self._types = [column.type for column in columns]
        names = [str(column.key) for column in columns]
        self._row: Any = namedtuple("Row", names) if gives else None  # noqa: PYI024  # its fields are data
        target = None if isinstance(statement, Select) else statement.table
        self.table = target if isinstance(target, Table) else None
        """What it writes to."""

    @cached_property
    def not_waiting(self) -> Statement:
        """The statement that leaves out what somebody else has locked, if this one locks rows."""
        statement = self._statement
        locks = getattr(statement, "_for_update_arg", None)
        if not isinstance(statement, Select) or locks is None:
            return self
        return Statement(statement.with_for_update(of=locks.of, skip_locked=True))

    def run(self, connection: Connection, values: Mapping[str, Any]) -> Ran:
        """Run it on a connection of SQLAlchemy, in its transaction.

        Raises `sqlalchemy.exc.DBAPIError` as SQLAlchemy does, and `Malformed` for what a database
        cannot hold.
        """
        if connection.dialect.name == "postgresql":
            return self.read(line_of(connection.connection).run(*self.asked(values)))
        return self._on_sqlite(connection, values)

    def run_each(self, connection: Connection, rows: Sequence[Values]) -> int:
        """Run it with each of `rows`: all, or none if one is refused; returns how many it wrote.

        On PostgreSQL that is one round trip. Raises as `run`.
        """
        if not rows:
            return 0
        if connection.dialect.name == "postgresql":
            line = line_of(connection.connection)
            return sum(done.changed for done in line.run_all([self.asked(row) for row in rows]))
        form = self._forms.get("sqlite") or self._write("sqlite", connection.dialect)
        given = [tuple(form.values(row)) for row in rows]
        return connection.exec_driver_sql(form.text, given).rowcount

    def send(self, connection: Connection, values: Mapping[str, Any]) -> None:
        """Have it run in the transaction before whatever comes next (`core.lines.Line.send`).

        On SQLite it runs now.
        """
        if connection.dialect.name == "postgresql":
            line_of(connection.connection).send(*self.asked(values))
        else:
            self._on_sqlite(connection, values)

    def _on_sqlite(self, connection: Connection, values: Mapping[str, Any]) -> Ran:
        form = self._forms.get("sqlite") or self._write("sqlite", connection.dialect)
        result = connection.exec_driver_sql(form.text, tuple(form.values(values)))
        if self._row is None:
            return Ran((), result.rowcount)
        rows = [
            tuple(
                value if reader is None else reader(value)
                for value, reader in zip(row, form.readers, strict=True)
            )
            for row in result
        ]
        return self.read(Done(rows, result.rowcount))

    def asked(self, values: Mapping[str, Any]) -> tuple[Written, list[Any]]:
        """Return it as PostgreSQL takes it."""
        form = self._postgresql()
        return form.written, form.values(values)

    def read(self, done: Done) -> Ran:
        """Give its rows their names."""
        rows, row = done.rows, self._row
        return Ran(() if row is None else [row(*one) for one in rows], done.changed)

    def _postgresql(self) -> _Form:
        return self._forms.get("postgresql") or self._write("postgresql", _DOLLARS)

    def _write(self, name: str, dialect: Dialect) -> _Form:
        compiled = self._statement.compile(dialect=dialect)
        names = tuple(compiled.positiontup or ())
        form = self._forms[name] = _Form(
            text=str(compiled),
            written=Written(self._name, str(compiled).encode()),
            names=names,
            fixed={
                key: value
                for key, value in compiled.params.items()
                if not compiled.binds[key].required
            },
            writers=[
                (place, write)
                for place, name in enumerate(names)
                if (write := _writer(compiled.binds[name].type, dialect)) is not None
            ],
            readers=[
                _of_type(kind, dialect).result_processor(dialect, None) for kind in self._types
            ],
        )
        return form


def run_directly(direct: Direct, statements: Sequence[tuple[Statement, Values]]) -> list[Ran]:
    """Run statements as one transaction of their own on PostgreSQL. Raises as `Statement.run`."""
    done = direct.run_all([statement.asked(values) for statement, values in statements])
    return [statement.read(one) for (statement, _), one in zip(statements, done, strict=True)]


def _writer(kind: TypeEngine[Any], dialect: Dialect) -> Processor:
    return _of_type(kind, dialect).bind_processor(dialect)


def _of_type(kind: TypeEngine[Any], dialect: Dialect) -> TypeEngine[Any]:
    return kind.dialect_impl(dialect)
