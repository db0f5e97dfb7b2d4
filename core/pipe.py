"""A pipe to PostgreSQL: what many ask at the same moment goes down one connection, in its order.

libpq's pipeline mode, watched by the event loop: nobody waits for an answer before asking the next
thing, and no thread is woken for one. What is asked together ends with a Sync of its own, so it is
a transaction of its own, which is committed before its answer comes; an error undoes it and nothing
else. Nothing is locked from one of them to the next.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import psycopg
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus, Format
from psycopg.pq.abc import PGresult

from core.libpq import Done, Values, done, encoded, lost
from core.lines import NOT_PREPARED, Line, Written

log = logging.getLogger(__name__)

_MOST_PIPES: Final = 6
_DEEP: Final = 16
"""So many may wait in a pipe, since each waits for the disk, before another one is opened."""
_STUCK_SECONDS: Final = 0.05
"""After so long without an answer nothing more is asked: the first one waits for a row."""

_LOOK_SECONDS: Final = 1.0

_SYNC: Final = int(ExecStatus.PIPELINE_SYNC)
_DONE: Final = (int(ExecStatus.COMMAND_OK), int(ExecStatus.TUPLES_OK))
_OK: Final = int(ConnStatus.OK)
"""As numbers, since they are compared for each answer."""
_ALREADY_PREPARED: Final = b"42P05"

Outcome = Sequence[Done] | Exception
Give = Callable[[Outcome], None]


@dataclass(slots=True)
class _Asked:
    """What was asked together."""

    statements: Sequence[tuple[Written, Values]]
    give: Give
    names: list[bytes] = field(default_factory=list)
    """For each answer that will come, what it says is prepared; empty: it is an answer to give."""
    results: list[PGresult] = field(default_factory=list)
    again: bool = False
    """Without what is prepared."""
    alone: bool = True
    """Whether it is a transaction of its own, which may be tried again."""


class Pipe:
    """One connection, in the event loop."""

    def __init__(
        self, line: Line, loop: asyncio.AbstractEventLoop, closed: Callable[[Pipe], None]
    ) -> None:
        self._connection = line.connection
        self._loop = loop
        self._closed = closed
        self._pgconn = pgconn = line.connection.pgconn
        self._prepared = set(line.prepared)
        self._waiting: deque[_Asked] = deque()
        self._moved = 0.0
        """When it began to wait for the answer that is the next one."""
        self._blocked = False
        self._looking: asyncio.TimerHandle | None = None
        self._gone, self._attached = False, True
        pgconn.nonblocking = 1
        pgconn.enter_pipeline_mode()
        self._socket = pgconn.socket
        loop.add_reader(self._socket, self._receive)

    @property
    def idle(self) -> bool:
        """Whether nobody waits for an answer."""
        return not self._waiting

    @property
    def has_room(self) -> bool:
        """Whether what is asked now will not wait long."""
        depth = len(self._waiting)
        return not depth or (depth < _DEEP and self._loop.time() < self._moved + _STUCK_SECONDS)

    @property
    def gone(self) -> bool:
        """Whether the connection was lost or closed."""
        return self._gone

    def ask(
        self, statements: Sequence[tuple[Written, Values]], give: Give, *, alone: bool = True
    ) -> None:
        """Run statements as one transaction; `give` what each gave, or what went wrong, later.

        Not `alone`: they begin a transaction, or are in it (`core.turns`). Raises `Malformed` for
        values that a database cannot hold; nothing is sent then.
        """
        self._send(_Asked(statements, give, alone=alone))

    def close(self) -> None:
        """Give up: whoever waits is told that the connection was lost."""
        self._lost(psycopg.OperationalError("the connection was closed"))

    def _send(self, asked: _Asked) -> None:
        messages = [(one, *encoded(values)) for one, values in asked.statements]
        if not self._waiting:
            self._moved = self._loop.time()
        self._waiting.append(asked)
        if self._looking is None:
            self._looking = self._loop.call_later(_LOOK_SECONDS, self._look)
        try:
            for (name, text), values, formats in messages:
                if asked.again or not name:
                    self._pgconn.send_query_params(text, values, None, formats, Format.BINARY)
                else:
                    self._send_prepared(asked, name, text)
                    self._pgconn.send_query_prepared(name, values, formats, Format.BINARY)
                asked.names.append(b"")
            self._pgconn.pipeline_sync()
            self._flush()
        except psycopg.Error as error:
            # The connection is gone, with what waits in it and what was just asked.
            self._detach()
            self._loop.call_soon(self._lost, error)

    def _send_prepared(self, asked: _Asked, name: bytes, text: bytes) -> None:
        if name not in self._prepared:
            self._pgconn.send_prepare(name, text)
            self._prepared.add(name)
            asked.names.append(name)

    def _flush(self) -> None:
        """Send what the socket did not take at once as soon as it does."""
        blocked = bool(self._pgconn.flush())
        if self._pgconn.status != _OK:
            # libpq found that out while it sent, closed the socket, and says so with the next
            # answer: of which the event loop would never hear.
            raise psycopg.OperationalError("the connection is lost")
        if blocked and not self._blocked:
            self._loop.add_writer(self._socket, self._sendable)
        elif self._blocked and not blocked:
            self._loop.remove_writer(self._socket)
        self._blocked = blocked

    def _sendable(self) -> None:
        try:
            self._flush()
        except psycopg.Error as error:
            self._lost(error)

    def _receive(self) -> None:
        pgconn, between = self._pgconn, False
        try:
            pgconn.consume_input()
            # Whoever is told may close this pipe.
            while self._waiting and not self._gone and not pgconn.is_busy():
                result = pgconn.get_result()
                if result is None:
                    if between:  # libpq knows of no question any more, and would say so for ever
                        raise psycopg.OperationalError("the connection is lost")
                    between = True  # two answers
                    continue
                between = False
                if result.status != _SYNC:
                    self._waiting[0].results.append(result)
                    continue
                self._moved = self._loop.time()
                self._finish(self._waiting.popleft())
            if not self._gone and pgconn.status != _OK:
                raise psycopg.OperationalError("the connection is lost")
        except psycopg.Error as error:
            self._lost(error)

    def _look(self) -> None:
        """Look for answers without being told that there are any.

        A connection that is reset (POLLERR) is nothing that libuv tells a reader of: it stops to
        watch it, and who waits would wait for ever.
        """
        self._looking = None
        if self._waiting and not self._gone:
            self._receive()
        if self._waiting and self._looking is None:
            self._looking = self._loop.call_later(_LOOK_SECONDS, self._look)

    def _finish(self, asked: _Asked) -> None:
        answers, refused = list[Done](), None
        try:
            for name, result in zip(asked.names, asked.results, strict=True):
                if result.status not in _DONE:
                    refused = refused or result  # those behind it were not tried
                    self._prepared.discard(name)
                elif not name and refused is None:
                    answers.append(done(self._pgconn, result))
        except Exception as error:  # noqa: BLE001 - who asked is told, and those behind it go on
            _tell(asked, error)
            return
        if refused is None:
            _tell(asked, answers)
        else:
            self._refused(asked, refused)

    def _refused(self, asked: _Asked, result: PGresult) -> None:
        """One statement was refused, and with it all that was asked together: nothing was done."""
        state = result.error_field(DiagnosticField.SQLSTATE)
        if state in (NOT_PREPARED, _ALREADY_PREPARED) and not asked.again:
            # What was to prepare it was undone, or somebody said DEALLOCATE ALL; what is under way
            # relies on it, or prepares it as well.
            for one, _ in asked.statements:
                self._prepared.discard(one.name)
                if state == _ALREADY_PREPARED:
                    self._prepared.add(one.name)
            if asked.alone:
                self._send(_Asked(asked.statements, asked.give, again=True))
                return
        try:
            done(self._pgconn, result)
        except Exception as error:  # noqa: BLE001 - given to whoever asked
            _tell(asked, error)

    def _lost(self, error: psycopg.Error) -> None:
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        if not self._gone:
            self._gone = True
            self._detach()
            self._connection.close()
            self._closed(self)
        waiting, self._waiting = self._waiting, deque()
        for asked in waiting:
            _tell(asked, lost(error))

    def _detach(self) -> None:
        """Have the event loop forget the socket, at once.

        Its number is free when libpq has closed it. The next connection that gets it would not be
        watched, because the event loop takes it for this one.
        """
        if self._attached and not self._loop.is_closed():
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
        self._attached = False


def _tell(asked: _Asked, outcome: Outcome) -> None:
    """Give it; a fault of who asked must not hold up those behind it."""
    try:
        asked.give(outcome)
    except Exception:
        log.exception("what a statement gave was not taken")


class Pipes:
    """A few pipes of one event loop, opened as they are needed."""

    def __init__(self, connect: Callable[[], Line]) -> None:
        self._connect = connect
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open: list[Pipe] = []
        self._taken: list[Pipe] = []
        self._opening = False

    def ask(self, statements: Sequence[tuple[Written, Values]], give: Give) -> bool:
        """Ask in the first pipe with room; in the event loop. Raises as `Pipe.ask`.

        False, and nothing is asked: there is none at the moment, and one is being opened.
        """
        if not self._present():
            return False
        for pipe in self._open:
            if pipe.has_room:
                pipe.ask(statements, give)
                return True
        self._open_another()
        return False

    def take(self) -> Pipe | None:
        """Take one in which nothing waits, for one use alone; in the event loop.

        None: there is none at the moment, and one is being opened.
        """
        if not self._present():
            return None
        for pipe in reversed(self._open):  # the first ones are asked first
            if pipe.idle:
                self._open.remove(pipe)
                self._taken.append(pipe)
                return pipe
        self._open_another()
        return None

    def give_back(self, pipe: Pipe) -> None:
        """Have one that was taken asked by everybody again."""
        if pipe in self._taken:  # it was not lost
            self._taken.remove(pipe)
            self._open.append(pipe)

    def close(self) -> None:
        """Close all of them."""
        self._loop = None
        for pipe in (*self._open, *self._taken):
            pipe.close()

    def _present(self) -> bool:
        loop = asyncio.get_running_loop()
        return loop is self._loop or self._move(loop)

    def _open_another(self) -> None:
        if self._opening or len(self._open) + len(self._taken) >= _MOST_PIPES:
            return
        self._opening = True
        loop = asyncio.get_running_loop()
        loop.run_in_executor(None, self._connect).add_done_callback(self._opened)

    def _move(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Be of this event loop from now on, if there is no other one that runs."""
        if self._loop is not None and not self._loop.is_closed():
            return False
        self.close()
        self._loop, self._opening = loop, False
        return True

    def _opened(self, future: asyncio.Future[Line]) -> None:
        self._opening = False
        if future.cancelled() or future.exception() is not None:
            return  # whoever asks in a thread meanwhile is told what is wrong
        line = future.result()
        line.connection.autocommit = True
        if self._loop is None:  # closed meanwhile
            line.connection.close()
            return
        self._open.append(Pipe(line, self._loop, self._forget))

    def _forget(self, pipe: Pipe) -> None:
        (self._open if pipe in self._open else self._taken).remove(pipe)
