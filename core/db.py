"""The database: one engine, one metadata, transactions that stores join.

SQLite (WAL, the embedded default) and PostgreSQL. Tables are declared in `<package>/tables.py` on
`metadata`; `yinxin/migrations` is their one history.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    DateTime,
    Delete,
    Dialect,
    Engine,
    Insert,
    Integer,
    MetaData,
    Table,
    TypeDecorator,
    Update,
    event,
    func,
    make_url,
    select,
)
from sqlalchemy.exc import ArgumentError
from typing_extensions import override

from core.asking import Asking, written
from core.db_errors import translated
from core.errors import Misconfigured
from core.libpq import check_integer, check_text
from core.lines import Direct, Line, line_of
from core.postgresql import open_postgresql
from core.spoilt import require_whole, watch
from core.sqlite import open_sqlite
from core.statements import Ran, Statement, run_directly
from core.steps import Chained, Together

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Sequence64 = BigInteger().with_variant(Integer, "sqlite")
"""A 64-bit integer that SQLite can count up as a primary key."""


_LIGHTLY = Statement(select(func.set_config("synchronous_commit", "off", True).label("now")))
"""Of the transaction that it is in (`is_local`)."""


class UTCDateTime(TypeDecorator[datetime]):
    """An aware UTC time; SQLite keeps it without its zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    @override
    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or value.tzinfo is UTC:
            return value
        if value.tzinfo is None:
            raise ValueError("a naive time was about to be stored")
        return value.astimezone(UTC)

    @override
    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        stored: datetime = value
        return stored.replace(tzinfo=UTC) if stored.tzinfo is None else stored.astimezone(UTC)


class _Thread(threading.local):
    """The transaction of a thread, and the tables that it wrote to."""

    connection: Connection | None = None
    written: set[str] | None = None


class Database:
    """Transactions on one engine. Safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._local = _Thread()
        self._for_reading: dict[str, Any] = {"yinxin_reading": True}
        self._for_one: dict[str, Any] = {}
        self._direct: Direct | None = None
        self._asking: Asking | None = None
        if engine.dialect.name == "postgresql":
            # Read committed: each statement sees what is committed when it begins, in a
            # transaction or not. Without one, a look costs one round trip and not three.
            self._for_reading["isolation_level"] = "AUTOCOMMIT"
            self._for_one["isolation_level"] = "AUTOCOMMIT"
            self._direct = Direct(self._detached)
            self._asking = Asking(self._detached, self._count)
        self._writes, self._counting = Counter[str](), threading.Lock()
        event.listen(engine, "before_execute", self._note)
        watch(engine)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open a writing transaction, or join the one open in this thread.

        On SQLite it takes the write lock at once (BEGIN IMMEDIATE), so that two writers queue
        instead of failing half way. Raises `Unavailable` when the database cannot be reached,
        is full or stays locked, and `Spoilt` if an error was caught without a savepoint.
        """
        connection: Connection | None = self._local.connection
        if connection is not None:
            yield connection
            return
        with self._counted(), translated(), self.engine.begin() as connection:
            self._local.connection = connection
            try:
                yield connection
                require_whole(connection)
            finally:
                self._local.connection = None

    @contextmanager
    def single(self) -> Iterator[Connection]:
        """Open what **one** writing statement needs, or join the transaction of this thread.

        On PostgreSQL a statement alone is its own transaction, and costs one round trip and not
        three. Durable when it returns. Raises as `transaction` does.
        """
        connection: Connection | None = self._local.connection
        if connection is not None:
            yield connection
            return
        with (
            self._counted(),
            translated(),
            self.engine.connect().execution_options(**self._for_one) as connection,
            connection.begin(),
        ):
            yield connection

    def run(self, statement: Statement, values: Mapping[str, Any]) -> Ran:
        """Run a statement in the transaction of this thread, or alone; durable then.

        What every request runs costs a tenth so. Raises as `transaction` does.
        """
        return self.run_all([(statement, values)])[0]

    def run_all(self, statements: Sequence[tuple[Statement, Mapping[str, Any]]]) -> list[Ran]:
        """Run statements as `run` does: all of them, or none if one is refused.

        On PostgreSQL, and outside of a transaction, that is one round trip.
        """
        tables = written(statements)
        if self._local.connection is None and self._direct is not None:
            try:
                with translated():
                    return run_directly(self._direct, statements)
            finally:
                # An error, too: what was lost on the way back may have been written.
                self._count(tables)
        with self.transaction() if tables else self.reading() as connection:
            for statement, _ in statements:
                self._note(connection, statement)
            return [statement.run(connection, values) for statement, values in statements]

    @property
    def asks(self) -> bool:
        """Whether `ask` is ever of use: on PostgreSQL."""
        return self._asking is not None

    def ask(
        self,
        statements: Sequence[tuple[Statement, Mapping[str, Any]]],
        give: Callable[[Sequence[Ran] | Exception], None],
    ) -> bool:
        """Run statements as `run_all` does outside of a transaction, without waiting for them.

        Only in the event loop, which `give`s later what they gave, or what `run_all` would have
        raised. False, and nothing is done: not at the moment, so `run_all` has to do it, in a
        thread. Raises `Malformed` at once.
        """
        return self._asking is not None and self._asking.ask(statements, give)

    def run_together(self, together: Together) -> Sequence[Ran]:
        """Run a transaction in this thread (`core.steps.Together`). Raises as `transaction` does.

        On PostgreSQL that is two round trips.
        """
        if self._local.connection is not None:
            raise RuntimeError("a transaction of its own was to begin within another one")
        ran: Sequence[Ran] = ()
        with suppress(_Undone), self.transaction():
            ran = self.run_all(together.first)
            more = together.then(ran)
            if more is None:
                raise _Undone
            for statement, values in more:
                self.send(statement, values)
        return ran

    def ask_together(
        self, together: Together | Chained, give: Callable[[Sequence[Ran] | Exception], None]
    ) -> bool:
        """Run a transaction as `run_together` does, without waiting for it, as `ask` does."""
        return self._asking is not None and self._asking.ask_together(together, give)

    def _count(self, tables: Collection[str]) -> None:
        if tables:
            with self._counting:
                for table in tables:
                    self._writes[table] += 1

    def run_lightly(self, statement: Statement, values: Mapping[str, Any]) -> Ran:
        """Run a statement as `run` does, but alone a crash may take it back.

        PostgreSQL does not wait for its disk then, nor for a standby. On SQLite it is as durable
        as the rest. For what is done again when it is found undone.
        """
        if self._direct is None or self._local.connection is not None:
            return self.run(statement, values)
        return self.run_all([(_LIGHTLY, {}), (statement, values)])[1]

    def send(self, statement: Statement, values: Mapping[str, Any]) -> None:
        """Have a statement run whose answer nobody waits for: a round trip less.

        In a transaction it is run before whatever comes next there, its end at the latest, and
        what the database has against it is raised then. Without one it is `run`.
        """
        connection: Connection | None = self._local.connection
        if connection is None:
            self.run(statement, values)
        else:
            self._note(connection, statement)
            statement.send(connection, values)

    def _detached(self) -> Line:
        """Take a connection out of the pool, with what is prepared on it."""
        fairy = self.engine.raw_connection()
        line = line_of(fairy)
        fairy.detach()
        return line

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Note what this thread writes to, and count it when that is committed or undone."""
        written: set[str] = set()
        self._local.written = written
        try:
            yield
        finally:
            self._local.written = None
            self._count(written)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a reading transaction, or join the one open in this thread."""
        connection: Connection | None = self._local.connection
        if connection is not None:
            yield connection
            return
        with (
            translated(),
            self.engine.connect().execution_options(**self._for_reading) as connection,
            connection.begin(),
        ):
            yield connection

    def version(self, *tables: Table) -> tuple[int, ...] | None:
        """Return what changes when this process commits to one of `tables`; None in a transaction.

        For `core.remembered`. Statements as text are not noticed.
        """
        if self._local.connection is not None:
            return None
        return tuple(self._writes[table.name] for table in tables)

    def _note(self, _connection: Connection, statement: object, *_: object) -> None:
        written = self._local.written
        if written is not None and isinstance(statement, Insert | Update | Delete | Statement):
            written.update(table.name for table in (statement.table,) if isinstance(table, Table))

    def close(self) -> None:
        """Close the pool."""
        if self._asking is not None:
            self._asking.close()
        if self._direct is not None:
            self._direct.close()
        self.engine.dispose()


class _Undone(Exception):
    """A transaction is undone because it was to be."""


def _check_values(
    _connection: Connection,
    _cursor: object,
    _statement: str,
    parameters: Any,
    _context: object,
    many: bool,
) -> None:
    """Refuse what one of the databases cannot hold, alike on both. Raises `Malformed`."""
    # A batch with RETURNING comes as one statement with the values of all rows in one sequence.
    for row in parameters if many and isinstance(parameters, list) else (parameters,):
        for value in row.values() if isinstance(row, dict) else row:
            if isinstance(value, str):
                check_text(value)
            elif isinstance(value, int):
                check_integer(value)


def open_database(url: str) -> Database:
    """Open ``sqlite:///path`` or ``postgresql+psycopg://…``. Raises `Misconfigured`."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise Misconfigured("the database url cannot be read (database.url)") from error
    if parsed.get_backend_name() == "sqlite":
        engine = open_sqlite(url, Path(parsed.database or ""))
    elif parsed.get_backend_name() == "postgresql":
        engine = open_postgresql(parsed)
    else:
        raise Misconfigured(
            f"the database must be sqlite or postgresql, not {parsed.get_backend_name()!r}"
        )
    event.listen(engine, "before_cursor_execute", _check_values)
    return Database(engine)
