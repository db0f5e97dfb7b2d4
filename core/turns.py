"""Transactions in the event loop, of two round trips: what is read under a lock, and what follows.

A pipe (`core.pipe`) commits whatever is asked together. Where the second question depends on the
answer to the first one, and nobody may come between (the audit log: an event's hash is made of the
row before it), a transaction has a pipe to itself for as long: that is a *turn*.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import psycopg

from core.errors import Malformed
from core.libpq import Done, Values, lost
from core.lines import Written
from core.pipe import Give, Outcome, Pipe, Pipes

_MOST_TAKEN: Final = 1
"""What comes meanwhile is gathered: a second turn would only wait for the head of the audit log."""
_MOST_JOINED: Final = 8
_DEEP: Final = 16
"""So many may wait for a pipe; beyond that, threads do it."""

_BEGIN: Final = (Written(b"yinxin_begin", b"BEGIN"), ())
_COMMIT: Final = (Written(b"yinxin_commit", b"COMMIT"), ())
_ROLLBACK: Final = (Written(b"", b"ROLLBACK"), ())

Asked = Sequence[tuple[Written, Values]]
Then = Callable[[Sequence[Done]], Asked | None]
"""Says what follows from what was read; None: undo it. What it raises undoes it, too."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One transaction."""

    first: Asked
    then: Then
    give: Give
    link: Any = None
    """Of what it may be one transaction with others that wait (`Join`); None: it is alone."""


Join = Callable[[Sequence[Turn]], Turn]
"""Makes one transaction of several, whose `first` differ."""


class Turns:
    """Transactions, each on a pipe of its own; in the event loop."""

    def __init__(self, pipes: Pipes, join: Join) -> None:
        self._pipes = pipes
        self._join = join
        self._taken = 0
        self._waiting: deque[Turn] = deque()

    def ask(self, turn: Turn) -> bool:
        """Run `first`, then what `then` says, as one transaction.

        `give` is given what `first` gave, when all is committed or undone, or what went wrong; then
        all is undone, but for a connection that is lost while it commits: that may be either.
        False, and nothing is done: there is no room at the moment. Raises `Malformed` at once.
        """
        if self._taken < _MOST_TAKEN:
            pipe = self._pipes.take()
            if pipe is not None:
                self._taken += 1
                try:
                    self._begin(pipe, turn)
                except Malformed:
                    self._next(pipe)
                    raise
                return True
        if not self._taken or len(self._waiting) >= _DEEP:
            return False
        self._waiting.append(turn)
        return True

    def again(self, turns: Sequence[Turn]) -> None:
        """Run these, each alone, before whatever waits."""
        if not turns:
            return
        self._waiting.extendleft(replace(turn, link=None) for turn in reversed(turns))
        if self._taken < _MOST_TAKEN:
            pipe = self._pipes.take()
            if pipe is None:
                waiting, self._waiting = self._waiting, deque()
                for turn in waiting:
                    asyncio.get_running_loop().call_soon(turn.give, _lost())
                return
            self._taken += 1
            self._next(pipe)

    def _gathered(self) -> Turn:
        """Take who is next, with those behind it that can be of one transaction with it."""
        first = self._waiting.popleft()
        if first.link is None:
            return first
        some = [first]
        while len(some) < _MOST_JOINED and self._waiting and self._waiting[0].link is not None:
            if any(self._waiting[0].first == one.first for one in some):
                break  # what both claim is claimed by one of them
            some.append(self._waiting.popleft())
        return first if len(some) == 1 else self._join(some)

    def close(self) -> None:
        """Tell whoever waits for a pipe that there will be none."""
        waiting, self._waiting = self._waiting, deque()
        for turn in waiting:
            turn.give(_lost())

    def _begin(self, pipe: Pipe, turn: Turn) -> None:
        pipe.ask([_BEGIN, *turn.first], partial(self._begun, pipe, turn), alone=False)

    def _begun(self, pipe: Pipe, turn: Turn, outcome: Outcome) -> None:
        if isinstance(outcome, Exception):
            self._undo(pipe, turn, outcome)
            return
        given = outcome[1:]
        try:
            more = turn.then(given)
            if more is not None:
                end = partial(self._ended, pipe, turn, given)
                pipe.ask([*more, _COMMIT], end, alone=False)
                return
        except Exception as error:  # noqa: BLE001 - given to whoever asked
            self._undo(pipe, turn, error)
        else:
            self._undo(pipe, turn, given)

    def _ended(self, pipe: Pipe, turn: Turn, given: Sequence[Done], outcome: Outcome) -> None:
        if isinstance(outcome, Exception):
            self._undo(pipe, turn, outcome)
            return
        self._next(pipe)
        turn.give(given)

    def _undo(self, pipe: Pipe, turn: Turn, outcome: Outcome) -> None:
        def undone(answer: Outcome) -> None:
            if isinstance(answer, Exception):
                pipe.close()
            try:
                turn.give(outcome)
            finally:  # who does not take it does not keep the turn
                self._next(pipe)

        if pipe.gone:
            undone(())
        else:
            pipe.ask([_ROLLBACK], undone, alone=False)

    def _next(self, pipe: Pipe) -> None:
        """Go on with who waits for a pipe, or give it back."""
        while self._waiting:
            turn = self._gathered()
            another = self._pipes.take() if pipe.gone else pipe
            if another is None:
                asyncio.get_running_loop().call_soon(turn.give, _lost())
                continue
            pipe = another
            try:
                self._begin(pipe, turn)
            except Malformed as refusal:
                asyncio.get_running_loop().call_soon(turn.give, refusal)
            else:
                return
        self._taken -= 1
        self._pipes.give_back(pipe)


def _lost() -> Exception:
    return lost(psycopg.OperationalError("the connection is lost"))
