"""An act written step by step: what it asks of the database, and what may take its time.

One text of the act, and two ways to carry it out. `run` does it in the thread that calls. A
`Carrier` does it in the event loop, which goes on with other things while the database answers: no
thread is woken, and what several acts ask at the same moment goes down one connection
(`core.pipe`).

Between two steps an act only computes: for less than a millisecond, and without waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from core.errors import Unavailable

T = TypeVar("T")

Statements = Sequence[tuple[Any, Mapping[str, Any]]]
"""Each a `core.statements.Statement` with its values: all of them are done, or none."""


@dataclass(frozen=True, slots=True)
class Apart:
    """What waits, or computes for long: a signature by a token, a transaction. For a thread."""

    act: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Together:
    """A transaction in which one thing follows from another; it gives what `first` gave.

    `then` is told what `first` gave and says what else is run; None: all is undone. It only
    computes, since what was locked stays locked meanwhile. What it says only writes, and no
    statement of it depends on another one, or writes the same row (`core.combined`).
    """

    first: Statements
    then: Callable[[Sequence[Any]], Statements | None]


@dataclass(frozen=True, slots=True)
class Chained:
    """A transaction that is a link of a chain: what it writes depends on the link before it.

    `lock` gives the last link as a row, and holds it; nothing, if nothing is to follow. `then` is
    told what `first` gave, and that link, and says what else is run and the link that it makes;
    None: all is undone. Several may be one transaction, in which the last link is named once
    (`move`), if their `first` only read and lock; who does not follow there is tried again alone,
    so `then` may be asked twice, and what it said last holds.
    """

    first: Statements
    lock: tuple[Any, Mapping[str, Any]]
    then: Callable[[Sequence[Any], Any], tuple[Statements, Any] | None]
    move: Callable[[Any], tuple[Any, Mapping[str, Any]]]

    def alone(self) -> Together:
        """Return the transaction that has only this link."""

        def then(given: Sequence[Any]) -> Statements | None:
            follows = self.then(given[:-1], given[-1].first())
            if follows is None:
                return None
            statements, link = follows
            return [*statements, self.move(link)]

        return Together([*self.first, self.lock], then)


Step = Statements | Apart | Together | Chained
Steps = Generator[Step, Any, T]
"""An act that ends with a `T`. What a step raises is raised in it, where it asked."""


def apart(act: Callable[[], T]) -> Steps[T]:
    """Do one thing in a thread."""
    result: T = yield Apart(act)
    return result


def asked(statements: Statements) -> Steps[Sequence[Any]]:
    """Run statements as one transaction; durable then. Returns what each gave."""
    given: Sequence[Any] = yield statements
    return given


def together(
    first: Statements, then: Callable[[Sequence[Any]], Statements | None]
) -> Steps[Sequence[Any]]:
    """Run a transaction (`Together`). Returns what `first` gave, if it was undone, too."""
    given: Sequence[Any] = yield Together(first, then)
    return given


def chained(link: Chained) -> Steps[Sequence[Any]]:
    """Run a transaction (`Chained`). Returns what `first` gave, if it was undone, too."""
    given: Sequence[Any] = yield link
    return given


Give = Callable[[Sequence[Any] | Exception], None]
"""Takes what statements gave, or what went wrong."""


class Runs(Protocol):
    """What runs statements (`core.db.Database`)."""

    def run_all(self, statements: Statements) -> Sequence[Any]:
        """Run them in the calling thread."""
        ...

    def ask(self, statements: Statements, give: Give) -> bool:
        """Run them without waiting (`core.db.Database.ask`). False: not at the moment."""
        ...

    def run_together(self, together: Together) -> Sequence[Any]:
        """Run a transaction in the calling thread."""
        ...

    def ask_together(self, together: Together | Chained, give: Give) -> bool:
        """Run a transaction without waiting. False: not at the moment."""
        ...

    @property
    def asks(self) -> bool:
        """Whether `ask` is ever of use."""
        ...


def run(steps: Steps[T], database: Runs) -> T:
    """Carry an act out in this thread. Raises what it raises."""
    try:
        step = next(steps)
        while True:
            try:
                result = step.act() if isinstance(step, Apart) else _ran(step, database)
            except Exception as error:  # noqa: BLE001 - raised again, in the act
                step = steps.throw(error)
            else:
                step = steps.send(result)
    except StopIteration as end:
        done: T = end.value
        return done


def _ran(step: Statements | Together | Chained, database: Runs) -> Sequence[Any]:
    if isinstance(step, Chained):
        return database.run_together(step.alone())[:-1]
    if isinstance(step, Together):
        return database.run_together(step)
    return database.run_all(step)


class Carrier:
    """Carries acts out in the event loop, over one database."""

    def __init__(self, database: Runs) -> None:
        self._database = database

    async def carry(self, steps: Steps[T]) -> T:
        """Carry an act out. Raises what it raises.

        It goes on to its end when whoever waits for it does not any more.
        """
        end: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def give(outcome: Any) -> None:
            if end.done():
                return  # whoever waited was cancelled
            if isinstance(outcome, Exception):
                end.set_exception(outcome)
            else:
                end.set_result(outcome)

        self.begin(steps, give)
        return await end

    def begin(self, steps: Steps[T], give: Callable[[T | Exception], None]) -> None:
        """Carry an act out, and give its end or what it raised; in the event loop."""
        if self._database.asks:
            _Carried(steps, self._database, give).go_on(None)
        else:
            _in_thread(give, run, steps, self._database)


class _Carried:
    __slots__ = ("_database", "_give", "_steps")

    def __init__(self, steps: Steps[Any], database: Runs, give: Callable[[Any], None]) -> None:
        self._steps = steps
        self._database = database
        self._give = give

    def go_on(self, outcome: object) -> None:
        """Go on with what the step before gave, as far as the next one."""
        try:
            if isinstance(outcome, BaseException):
                step = self._steps.throw(outcome)
            else:
                step = self._steps.send(outcome)
        except StopIteration as end:
            given = end.value
        except Exception as error:  # noqa: BLE001 - given to whoever waits
            given = error
        else:
            self._begin(step)
            return
        # Not above: an error of who takes it would have in its context what was given, a token,
        # and errors reach the log.
        self._give(given)

    def _begin(self, step: Step) -> None:
        database = self._database
        try:
            if isinstance(step, Apart):
                _in_thread(self.go_on, step.act)
                return
            if isinstance(step, Together | Chained):
                asked = database.ask_together(step, self.go_on)
            else:
                asked = database.ask(step, self.go_on)
            if not asked:
                _in_thread(self.go_on, _ran, step, database)
        except Exception as error:  # noqa: BLE001 - raised in the act, where it asked
            self.go_on(error)


def _in_thread(give: Callable[[Any], None], act: Callable[..., Any], *arguments: object) -> None:
    def came(future: asyncio.Future[Any]) -> None:
        if future.cancelled():
            give(Unavailable("the service is stopping; try again later"))
        else:
            give(future.exception() or future.result())

    asyncio.get_running_loop().run_in_executor(None, act, *arguments).add_done_callback(came)
