"""Audit events: durable facts about who did what."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from core.steps import Statements, Steps

Detail = Mapping[str, str | int | bool | None]
"""What an event says besides its action. Never a secret; octets as lowercase hex."""


class Event(NamedTuple):
    """One event that is to be written."""

    action: str
    actor: str
    detail: Detail


class AuditLog(Protocol):
    """Remembers events for ever, in order."""

    def record(self, action: str, *, actor: str, detail: Detail) -> None:
        """Write one event. `action` is ``noun.participle``, like ``certificate.issued``.

        Joins the open transaction (`core.transaction`); durable on its own otherwise.
        Raises `AuditUnavailable` if it cannot be written: the caller lets that pass, so that
        the act does not happen.
        """
        ...

    def record_all(self, events: Sequence[Event]) -> None:
        """Write several events, in this order, all or none; as `record` for each of them."""
        ...

    def recording(
        self, event: Event, first: Statements, stands: Callable[[Sequence[Any]], bool]
    ) -> Steps[bool]:
        """Run `first` and write one event, as one transaction of its own, in steps.

        `stands` is told what `first` gave (`core.statements.Ran`). False: it does not stand, and
        all is undone. Raises `AuditUnavailable` as `record` does; then all is undone, too, but for
        a database that is lost while it commits.
        """
        ...

    def following(
        self, first: Statements, then: Callable[[Sequence[Any]], tuple[Event, Statements] | None]
    ) -> Steps[bool]:
        """Run `first`, then what `then` makes of it, with its event, as one transaction, in steps.

        The last of `first` locks the log (`core.audit_sql.locking`), if something else holds, so
        that nobody holds it up for nothing. False: `then` said None, and all is undone. What it
        raises undoes all, too. `then` may be asked a second time, and has to forget the first one
        (`core.steps.Chained`). Raises `AuditUnavailable` as `recording` does.
        """
        ...
