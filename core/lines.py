"""Lines to PostgreSQL: connections with what is prepared on them, and what waits to be sent.

Each round trip costs two switches between processes, more than most statements. So in a
transaction what nobody waits for goes out with the next statement whose answer is wanted (libpq's
pipeline mode), BEGIN too; and what is run once is prepared.
"""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import psycopg
from psycopg import errors
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus, Format, TransactionStatus
from psycopg.pq.abc import PGresult
from sqlalchemy.pool import PoolProxiedConnection

from core.libpq import Connected, Done, Values, done, encoded, lost

_MOST_IDLE: Final = 20
_IDLE_SECONDS: Final = 1.0
"""A connection that was used less long ago is taken to be alive."""
_INFO: Final = "yinxin.line"
NOT_PREPARED: Final = b"26000"


class Written(NamedTuple):
    """A statement as PostgreSQL takes it."""

    name: bytes
    """Under which it is prepared; empty: it is not."""
    text: bytes


class _Message(NamedTuple):
    statement: Written
    values: list[bytes | None]
    formats: list[int]


_BEGIN: Final = _Message(Written(b"", b"BEGIN"), [], [])
_COMMIT: Final = _Message(Written(b"", b"COMMIT"), [], [])


class Line:
    """One connection. For one thread at a time."""

    def __init__(self, connection: Connected) -> None:
        self.connection = connection
        self.since = time.monotonic()
        """When it was given back."""
        self.prepared: set[bytes] = set()
        """The names of what is prepared on it."""
        self._pgconn = connection.pgconn
        self._waiting: list[_Message] = []

    @property
    def usable(self) -> bool:
        """Whether anything can be sent."""
        return self._pgconn.status == ConnStatus.OK

    @property
    def failed(self) -> bool:
        """Whether a statement of the transaction failed: PostgreSQL takes nothing but its end."""
        return self._pgconn.transaction_status == TransactionStatus.INERROR

    def is_alive(self) -> bool:
        """Tell whether the other end is there, after a pause by asking it."""
        if time.monotonic() - self.since < _IDLE_SECONDS:
            return True
        try:
            self._pgconn.exec_(b"")
        except psycopg.Error:
            return False
        return self.usable

    def send(self, statement: Written, values: Values) -> None:
        """Have a statement run in the transaction before whatever comes next.

        It begins the transaction if there is none. What the database has against the statement is
        raised then: by `run`, by `flush` or by `commit`.
        """
        message = _Message(statement, *encoded(values))
        if not self._waiting and self._begins():
            self._waiting.append(_BEGIN)
        self._waiting.append(message)

    def run(self, statement: Written, values: Values) -> Done:
        """Run a statement, in the transaction if the connection does not commit by itself.

        Raises `DBAPIError`, `Malformed`.
        """
        return self.run_all([(statement, values)])[-1]

    def run_all(self, statements: Sequence[tuple[Written, Values]]) -> list[Done]:
        """Run statements in one round trip: all of them, or none if one is refused.

        Raises as `run`.
        """
        messages = [_Message(statement, *encoded(values)) for statement, values in statements]
        waiting = self._taken()
        if not waiting and self._begins():
            waiting = [_BEGIN]
        return self._done([*waiting, *messages])[len(waiting) :]

    def flush(self) -> None:
        """Send what waits. Raises `DBAPIError`."""
        if self._waiting:
            self._done(self._taken())

    def commit(self) -> None:
        """Commit the transaction, if there is one. Raises as psycopg does, and `DBAPIError`.

        After an error that was caught, too: PostgreSQL would undo, and say so to nobody.
        """
        if self.failed:
            raise errors.InFailedSqlTransaction("a statement of it failed: nothing is committed")
        if self._waiting:
            self._done([*self._taken(), _COMMIT])
            return
        status = self._pgconn.transaction_status
        if status == TransactionStatus.IDLE:
            return
        if status != TransactionStatus.INTRANS:
            self.connection.commit()  # it says what is wrong
            return
        result = self._pgconn.exec_(b"COMMIT")
        if result.status != ExecStatus.COMMAND_OK:
            raise errors.error_from_result(result)

    def rollback(self) -> None:
        """Undo the transaction, if there is one. Raises as psycopg does.

        psycopg's own would forget everything that is prepared (DEALLOCATE ALL), which PostgreSQL
        keeps.
        """
        self._waiting.clear()
        status = self._pgconn.transaction_status
        if status == TransactionStatus.IDLE:
            return
        if status not in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
            self.connection.rollback()  # it says what is wrong
            return
        result = self._pgconn.exec_(b"ROLLBACK")
        if result.status != ExecStatus.COMMAND_OK:
            raise errors.error_from_result(result)

    def undo_to(self, savepoint: str) -> None:
        """Undo what was done since a savepoint of the transaction. Raises `DBAPIError`."""
        self._waiting.clear()
        statement = f"ROLLBACK TO SAVEPOINT {savepoint}"
        self._done([_Message(Written(b"", statement.encode()), [], [])])

    def _begins(self) -> bool:
        idle = self._pgconn.transaction_status == TransactionStatus.IDLE
        return idle and not self.connection.autocommit

    def _taken(self) -> list[_Message]:
        taken, self._waiting = self._waiting, []
        return taken

    def _done(self, messages: Sequence[_Message]) -> list[Done]:
        try:
            alone = len(messages) == 1
            results = [self._ask(messages[0])] if alone else self._ask_together(messages)
            if results[-1].error_field(DiagnosticField.SQLSTATE) == NOT_PREPARED:
                self.prepared.clear()  # somebody said DEALLOCATE ALL: the next try prepares anew
            return [done(self._pgconn, result) for result in results]
        except psycopg.Error as error:
            raise lost(error) from error

    def _ask(self, message: _Message) -> PGresult:
        (name, text), values, formats = message
        pgconn = self._pgconn
        if not name:
            return pgconn.exec_params(text, values, None, formats, Format.BINARY)
        if name not in self.prepared:
            prepared = pgconn.prepare(name, text)
            if prepared.status != ExecStatus.COMMAND_OK:
                return prepared
            self.prepared.add(name)
        return pgconn.exec_prepared(name, values, formats, Format.BINARY)  # type: ignore[arg-type]  # None is NULL

    def _ask_together(self, messages: Sequence[_Message]) -> list[PGresult]:
        """One round trip for all of them. After an error none is run, and there is no answer.

        Outside of BEGIN and COMMIT they are one transaction.
        """
        pgconn = self._pgconn
        pgconn.enter_pipeline_mode()
        names: list[bytes] = []
        try:
            for message in messages:
                self._transmit(message, names)
            pgconn.pipeline_sync()
            results = self._answers()
            pgconn.exit_pipeline_mode()
        except BaseException:
            # Whatever comes yet would be taken for the answer to something else.
            self.connection.close()
            raise
        answers = list[PGresult]()
        for name, result in zip(names, results, strict=True):
            if result.status not in (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK):
                return [*answers, result]
            if name:
                self.prepared.add(name)
            else:
                answers.append(result)
        return answers

    def _transmit(self, message: _Message, names: list[bytes]) -> None:
        """Add to `names`, for each answer that will come, what it says is prepared."""
        (name, text), values, formats = message
        if not name:
            self._pgconn.send_query_params(text, values, None, formats, Format.BINARY)
        else:
            if name not in self.prepared and name not in names:
                self._pgconn.send_prepare(name, text)
                names.append(name)
            self._pgconn.send_query_prepared(name, values, formats, Format.BINARY)
        names.append(b"")

    def _answers(self) -> list[PGresult]:
        """Wait for all answers: other threads run meanwhile, which `get_result` alone hinders."""
        pgconn, found = self._pgconn, list[PGresult]()
        poller = select.poll()
        while True:
            while pgconn.is_busy():
                room = select.POLLOUT if pgconn.flush() else 0  # something is not sent yet
                poller.register(pgconn.socket, select.POLLIN | room)
                poller.poll()
                pgconn.consume_input()
            result = pgconn.get_result()
            if result is None:
                continue  # between two answers
            if result.status == ExecStatus.PIPELINE_SYNC:
                return found
            found.append(result)


def line_of(connection: PoolProxiedConnection) -> Line:
    """Return the line of a connection in SQLAlchemy's pool, the same as long as it lives."""
    try:
        info = connection.info
    except NotImplementedError:  # SQLAlchemy's own look at a new server, outside of the pool
        info = {}
    line = info.get(_INFO)
    if not isinstance(line, Line):
        driver: Connected = connection.driver_connection  # type: ignore[assignment]  # psycopg's
        line = info[_INFO] = Line(driver)
    return line


class Direct:
    """Lines on which what is run together is a transaction of its own."""

    def __init__(self, connect: Callable[[], Line]) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._idle: list[Line] = []
        self._closed = False

    def run_all(self, statements: Sequence[tuple[Written, Values]]) -> list[Done]:
        """Run statements as one transaction; durable when it returns.

        Raises `DBAPIError`, `Malformed`.
        """
        line = self._take()
        try:
            return line.run_all(statements)
        finally:
            self._give_back(line)

    def close(self) -> None:
        """Close what is idle; what is in use is closed when it comes back."""
        with self._lock:
            self._closed, idle, self._idle = True, self._idle, []
        for line in idle:
            line.connection.close()

    def _take(self) -> Line:
        while True:
            with self._lock:
                line = self._idle.pop() if self._idle else None
            if line is None:
                line = self._connect()
                line.connection.autocommit = True
                return line
            if line.is_alive():
                return line
            line.connection.close()

    def _give_back(self, line: Line) -> None:
        line.since = time.monotonic()
        with self._lock:
            keep = not self._closed and len(self._idle) < _MOST_IDLE and line.usable
            if keep:
                self._idle.append(line)
        if not keep:
            line.connection.close()
