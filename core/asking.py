"""Asking PostgreSQL in the event loop: statements in, and what they gave, later."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from core.combined import combined
from core.db_errors import translate
from core.libpq import Done, Values
from core.lines import Line, Written
from core.pipe import Pipes
from core.statements import Ran, Statement
from core.steps import Chained, Together
from core.turns import Turn, Turns

Statements = Sequence[tuple[Statement, Mapping[str, Any]]]
Give = Callable[[Sequence[Ran] | Exception], None]


class Asking:
    """What `core.db.Database` does in the event loop.

    `wrote` is told the tables that were written to, when that is committed, undone or not known.
    """

    def __init__(
        self, connect: Callable[[], Line], wrote: Callable[[Collection[str]], None]
    ) -> None:
        self.pipes = Pipes(connect)
        self._turns = Turns(self.pipes, self._joined)
        self._wrote = wrote

    def ask(self, statements: Statements, give: Give) -> bool:
        """Run statements as one transaction (`core.db.Database.ask`)."""
        tables = written(statements)

        def given(outcome: Sequence[Done] | Exception) -> None:
            self._wrote(tables)  # after an error, too: what was lost may have been written
            give(_read(statements, outcome))

        return self.pipes.ask(_asked(statements), given)

    def ask_together(self, together: Together | Chained, give: Give) -> bool:
        """Run a transaction of two trips (`core.db.Database.ask_together`)."""
        if isinstance(together, Chained):
            return self._turns.ask(self._link(together, give))
        return self._turns.ask(self._turn(together, give))

    def _turn(self, together: Together, give: Give) -> Turn:
        first: Statements = together.first
        tables = written(first)

        def then(outcome: Sequence[Done]) -> Sequence[tuple[Written, Values]] | None:
            more = together.then(_named(first, outcome))
            if more is not None:
                tables.extend(written(more))
                return combined(_asked(more))
            return None

        def given(outcome: Sequence[Done] | Exception) -> None:
            self._wrote(tables)
            give(_read(first, outcome))

        return Turn(_asked(first), then, given)

    def _link(self, link: Chained, give: Give) -> Turn:
        def without_lock(ran: Sequence[Ran] | Exception) -> None:
            give(ran if isinstance(ran, Exception) else ran[:-1])

        turn = self._turn(link.alone(), without_lock)
        # What was written for one who is refused could not be undone without the others.
        return turn if written(link.first) else replace(turn, link=(link, give))

    def _joined(self, turns: Sequence[Turn]) -> Turn:
        group = _Group(turns)

        def given(outcome: Sequence[Done] | Exception) -> None:
            self._wrote(group.tables)
            self._turns.again(group.tell(outcome))

        return Turn(_asked(group.first), group.then, given)

    def close(self) -> None:
        """Close the connections; whoever waits is told that they were lost."""
        self._turns.close()
        self.pipes.close()


class _Group:
    """Several links of a chain as one transaction, in which the last one is named once.

    It waits for the head alone: what somebody else has locked is left out, so that two groups, or
    one and the end of several sessions, never wait for each other. Who does not follow, for that
    or any other reason, is tried again alone; so is each, if the database refuses all of it.
    """

    def __init__(self, turns: Sequence[Turn]) -> None:
        self._turns = turns
        self._links: list[Chained] = [turn.link[0] for turn in turns]
        self._firsts = [
            [(one.not_waiting, values) for one, values in link.first] for link in self._links
        ]
        self._followed: list[Sequence[Ran] | None] = []
        self.first: Statements = [
            *chain.from_iterable(self._firsts),
            *(link.lock for link in self._links),
        ]
        self.tables: list[str] = []

    def then(self, outcome: Sequence[Done]) -> Sequence[tuple[Written, Values]] | None:
        ran = iter(_named(self.first, outcome))
        own = [[next(ran) for _ in first] for first in self._firsts]
        asked: list[tuple[Written, Values]] = []
        head: Any = None
        for link, given, lock in zip(self._links, own, ran, strict=True):
            # Each one's own condition says whether it follows at all; behind which, the one before.
            found = lock.first()
            try:
                follows = found and link.then(given, head or found)
            except Exception:  # noqa: BLE001 - raised again when it is tried alone
                follows = None
            self._followed.append(given if follows else None)
            if follows:
                statements, head = follows
                asked.extend(combined(self._noted(statements)))
        return None if head is None else [*asked, *self._noted([self._links[0].move(head)])]

    def tell(self, outcome: Sequence[Done] | Exception) -> Sequence[Turn]:
        """Tell each what it gave; return who is to be tried again, alone.

        Each in a turn of the loop of its own: who does not take it holds up nobody.
        """
        tell = asyncio.get_running_loop().call_soon
        if isinstance(outcome, Exception):
            if not getattr(outcome, "connection_invalidated", False):
                return self._turns
            for turn in self._turns:  # it may be committed: then a code would be found used
                tell(turn.link[1], translate(outcome))
            return ()
        again = list[Turn]()
        for turn, given in zip(self._turns, self._followed, strict=True):
            if given is None:
                again.append(turn)
            else:
                tell(turn.link[1], given)
        return again

    def _noted(self, statements: Statements) -> list[tuple[Written, Values]]:
        self.tables.extend(written(statements))
        return _asked(statements)


def written(statements: Statements) -> list[str]:
    """Return the tables that statements write to."""
    return [one.table.name for one, _ in statements if one.table is not None]


def _asked(statements: Statements) -> list[tuple[Written, Values]]:
    return [one.asked(values) for one, values in statements]


def _named(statements: Statements, outcome: Sequence[Done]) -> Sequence[Ran]:
    return [one.read(it) for (one, _), it in zip(statements, outcome, strict=True)]


def _read(statements: Statements, outcome: Sequence[Done] | Exception) -> Sequence[Ran] | Exception:
    if isinstance(outcome, Exception):
        return translate(outcome)
    try:
        return _named(statements, outcome)
    except Exception as error:  # noqa: BLE001 - whoever asked is told, as `run_all` would
        return error
