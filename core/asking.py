"""Asking PostgreSQL in the event loop: statements in, and what they gave, later."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from core.combined import combined
from core.db_errors import translate
from core.libpq import Done, Values
from core.lines import Line, Written
from core.pipe import Pipes
from core.statements import Ran, Statement
from core.steps import Together
from core.turns import Turns

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
        self._turns = Turns(self.pipes)
        self._wrote = wrote

    def ask(self, statements: Statements, give: Give) -> bool:
        """Run statements as one transaction (`core.db.Database.ask`)."""
        tables = written(statements)

        def given(outcome: Sequence[Done] | Exception) -> None:
            self._wrote(tables)  # after an error, too: what was lost may have been written
            give(_read(statements, outcome))

        return self.pipes.ask(_asked(statements), given)

    def ask_together(self, together: Together, give: Give) -> bool:
        """Run a transaction of two trips (`core.db.Database.ask_together`)."""
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

        return self._turns.ask(_asked(first), then, given)

    def close(self) -> None:
        """Close the connections; whoever waits is told that they were lost."""
        self._turns.close()
        self.pipes.close()


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
