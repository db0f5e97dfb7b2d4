"""An audit log that remembers in memory and can be made to fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from core.audit import Detail, Event
from core.errors import AuditUnavailable
from core.steps import Statements, Steps, together


class MemoryAuditLog:
    def __init__(self) -> None:
        self.events: list[tuple[str, str, dict[str, object]]] = []
        self.broken = False

    def record(self, action: str, *, actor: str, detail: Detail) -> None:
        if self.broken:
            raise AuditUnavailable("the audit log cannot be written")
        self.events.append((action, actor, dict(detail)))

    def record_all(self, events: Sequence[Event]) -> None:
        for action, actor, detail in events:
            self.record(action, actor=actor, detail=detail)

    def recording(
        self, event: Event, first: Statements, stands: Callable[[Sequence[Any]], bool]
    ) -> Steps[bool]:
        def then(given: Sequence[Any]) -> Statements | None:
            if not stands(given):
                return None
            self.record_all([event])
            return ()

        given = yield from together(first, then)
        return stands(given)

    @property
    def actions(self) -> list[str]:
        return [action for action, _, _ in self.events]
