"""An audit log that remembers in memory and can be made to fail."""

from __future__ import annotations

from core.audit import Detail
from core.errors import AuditUnavailable


class MemoryAuditLog:
    def __init__(self) -> None:
        self.events: list[tuple[str, str, dict[str, object]]] = []
        self.broken = False

    def record(self, action: str, *, actor: str, detail: Detail) -> None:
        if self.broken:
            raise AuditUnavailable("the audit log cannot be written")
        self.events.append((action, actor, dict(detail)))

    @property
    def actions(self) -> list[str]:
        return [action for action, _, _ in self.events]
