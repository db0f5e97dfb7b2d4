"""An audit log that remembers in memory and can be made to fail."""

from __future__ import annotations

from collections.abc import Sequence

from core.audit import Detail, Event
from core.errors import AuditUnavailable


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

    @property
    def actions(self) -> list[str]:
        return [action for action, _, _ in self.events]
