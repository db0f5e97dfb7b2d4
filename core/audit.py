"""Audit events: durable facts about who did what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

Detail = Mapping[str, str | int | bool | None]
"""What an event says besides its action. Never a secret; octets as lowercase hex."""


class AuditLog(Protocol):
    """Remembers events for ever, in order."""

    def record(self, action: str, *, actor: str, detail: Detail) -> None:
        """Write one event. `action` is ``noun.participle``, like ``certificate.issued``.

        Joins the open transaction (`core.transaction`); durable on its own otherwise.
        Raises `AuditUnavailable` if it cannot be written: the caller lets that pass, so that
        the act does not happen.
        """
        ...
