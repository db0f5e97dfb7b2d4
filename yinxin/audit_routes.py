"""The auditor's API: reads everything about acts, and changes nothing."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict

from core.audit_chain import StoredEvent
from core.audit_sql import SQLAuditLog
from core.http import require_role
from core.identity import Principal, Role
from core.openapi import Sort
from yinxin.audit_key import AuditKey

Auditor = Annotated[Principal, Depends(require_role(Role.AUDIT))]


class EventView(BaseModel):
    """One event of the chain."""

    model_config = ConfigDict(frozen=True)

    sequence: int
    at: datetime
    action: str
    actor: str
    detail: dict[str, Any]
    hash: str
    """SM3, lowercase hex."""

    @classmethod
    def of(cls, event: StoredEvent) -> EventView:
        """Show one event."""
        return cls(
            sequence=event.sequence,
            at=event.at,
            action=event.action,
            actor=event.actor,
            detail=json.loads(event.detail),
            hash=event.hash.hex(),
        )


class VerdictView(BaseModel):
    """What a verification of the whole chain found."""

    model_config = ConfigDict(frozen=True)

    whole: bool
    rows: int
    checkpoints: int
    fault: str | None
    first_bad: int | None


def make_router(audit: SQLAuditLog, key: AuditKey) -> APIRouter:
    """Serve /api/v1/audit."""
    router = APIRouter(prefix="/api/v1/audit", tags=["audit"])

    @router.get(
        "/events",
        summary="List audit events, oldest first",
        description="By `sequence`, with `-` before it the newest first.",
    )
    def list_events(
        _: Auditor,
        after: Annotated[int, Query(ge=0, lt=1 << 63, description="The last sequence seen.")] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        action: Annotated[str | None, Query(max_length=64)] = None,
        actor: Annotated[str | None, Query(max_length=200)] = None,
        sort: Sort = None,
    ) -> list[EventView]:
        found = audit.list_events(
            after=after, limit=limit, action=action, actor=actor, sort=sort or "sequence"
        )
        return [EventView.of(event) for event in found]

    @router.get("/verification", summary="Walk the whole chain and say whether it is whole")
    def verify(_: Auditor) -> VerdictView:
        verdict = audit.verify(key)
        return VerdictView(
            whole=verdict.fault is None,
            rows=verdict.rows,
            checkpoints=verdict.checkpoints,
            fault=verdict.fault,
            first_bad=verdict.first_bad,
        )

    return router
