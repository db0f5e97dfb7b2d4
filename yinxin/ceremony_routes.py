"""HTTP for ceremonies: which were held here, and whether a transcript holds.

Ceremonies themselves are held on the host (docs/ceremony.md): nobody signs a CA certificate from
a browser.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Final, Self

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict

from ca.transcript import Verified, verify_transcript
from core.audit_chain import StoredEvent
from core.audit_sql import SQLAuditLog
from core.http import require_role
from core.identity import Principal, Role
from core.openapi import problems
from yinxin.audit_key import AuditKey

_Reader = Annotated[Principal, Depends(require_role(Role.SYSTEM, Role.AUDIT))]
_ACTIONS: Final = ("ceremony.prepared", "ceremony.completed")
_PORTION: Final = 1000


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CeremonyView(_Wire):
    """One event of a ceremony, as the audit log has it (docs/audit-events.md)."""

    sequence: int
    at: datetime
    action: str
    actor: str
    detail: dict[str, Any]

    @classmethod
    def of(cls, event: StoredEvent) -> Self:
        """Show an event."""
        return cls(
            sequence=event.sequence,
            at=event.at,
            action=event.action,
            actor=event.actor,
            detail=json.loads(event.detail),
        )


class VerifiedView(_Wire):
    """What a transcript proves."""

    act: str
    name: str
    plan: str
    tbs_sha256: str
    fingerprint: str | None
    """SHA-256 of the certificate; null for a request."""
    key_fingerprint: str
    """SHA-256 of the audit key, which is this service's own."""

    @classmethod
    def of(cls, found: Verified) -> Self:
        """Show what was proved."""
        return cls(
            act=found.act,
            name=found.name,
            plan=found.plan,
            tbs_sha256=found.tbs_sha256,
            fingerprint=found.fingerprint,
            key_fingerprint=found.key_fingerprint,
        )


def make_ceremony_router(audit: SQLAuditLog, key: AuditKey) -> APIRouter:
    """Serve /api/v1/ceremonies."""
    router = APIRouter(prefix="/api/v1/ceremonies", tags=["audit"])

    def events(action: str) -> Iterator[StoredEvent]:
        after = 0
        while found := audit.list_events(after=after, limit=_PORTION, action=action):
            yield from found
            after = found[-1].sequence

    @router.get("", summary="List what was prepared and signed in ceremonies, newest first")
    def list_ceremonies(_: _Reader) -> list[CeremonyView]:
        found = [event for action in _ACTIONS for event in events(action)]
        found.sort(key=lambda event: event.sequence, reverse=True)
        return [CeremonyView.of(event) for event in found]

    @router.post(
        "/verify",
        summary="Prove a transcript against the audit key of this service",
        description="The body is the transcript file as `yinxin ceremony run` wrote it.",
        responses=problems(400, 413, 422),
        openapi_extra={"requestBody": {"content": {"application/octet-stream": {}}}},
    )
    async def verify(_: _Reader, request: Request) -> VerifiedView:
        octets = await request.body()
        return VerifiedView.of(verify_transcript(octets, audit_key=key.signer.key.public_key))

    return router
