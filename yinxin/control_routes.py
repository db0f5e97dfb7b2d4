"""HTTP for acts under control: list, show, approve, reject.

Each act is proposed where it belongs.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Self

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from core.control import MAX_SUMMARY, DualControl
from core.control_store import Act, Proposal, ProposalState
from core.http import require_role
from core.identity import Principal, Role
from core.openapi import After, Sort, problems

Reader = Annotated[
    Principal, Depends(require_role(Role.SYSTEM, Role.BUSINESS, Role.KEY, Role.AUDIT))
]
Officer = Annotated[Principal, Depends(require_role(Role.SYSTEM, Role.BUSINESS, Role.KEY))]
"""Which of them decides about which act: `core.control.APPROVERS`."""


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ApprovalView(_Wire):
    """Who agreed, and when."""

    officer: str
    at: datetime


class ProposalView(_Wire):
    """A proposal as those who decide see it."""

    id: Annotated[str, Field(examples=["9f86d081884c7d659a2feaa0c55ad015"])]
    act: Act
    state: ProposalState
    summary: str
    parameters: dict[str, Any]
    requester: str
    needed: int
    approvals: tuple[ApprovalView, ...]
    created_at: datetime
    expires_at: datetime
    decided_at: datetime | None
    outcome: str | None

    @classmethod
    def of(cls, proposal: Proposal) -> Self:
        """Show a proposal."""
        return cls(
            id=proposal.id,
            act=proposal.act,
            state=proposal.state,
            summary=proposal.summary,
            parameters=json.loads(proposal.parameters),
            requester=proposal.requester,
            needed=proposal.needed,
            approvals=tuple(ApprovalView(officer=a.officer, at=a.at) for a in proposal.approvals),
            created_at=proposal.created_at,
            expires_at=proposal.expires_at,
            decided_at=proposal.decided_at,
            outcome=proposal.outcome,
        )


class Rejection(_Wire):
    """Why an act shall not happen."""

    reason: Annotated[str, Field(min_length=1, max_length=MAX_SUMMARY)]


def make_router(control: DualControl) -> APIRouter:
    """Serve /api/v1/proposals."""
    router = APIRouter(prefix="/api/v1/proposals", tags=["proposals"])

    @router.get(
        "",
        summary="List proposals, newest first",
        description="By `created`, `act`, `state` or `requester`.",
        responses=problems(),
    )
    def list_proposals(
        _: Reader,
        state: ProposalState | None = None,
        act: Act | None = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        sort: Sort = None,
        after: After = None,
    ) -> list[ProposalView]:
        found = control.list_proposals(state=state, act=act, limit=limit, sort=sort, after=after)
        return [ProposalView.of(proposal) for proposal in found]

    @router.get("/{proposal_id}", summary="Look at a proposal", responses=problems(404))
    def get(_: Reader, proposal_id: str) -> ProposalView:
        return ProposalView.of(control.get(proposal_id))

    @router.post(
        "/{proposal_id}/approve",
        summary="Approve a proposal; the last approval needed does the act",
        description="Never by who proposed it, and by nobody twice. `failed` in the answer: "
        "everybody agreed and it could not be done. `approved`: it is tried again.",
        responses=problems(404, 409, 503),
    )
    def approve(asking: Officer, proposal_id: str) -> ProposalView:
        return ProposalView.of(control.approve(proposal_id, actor=asking))

    @router.post(
        "/{proposal_id}/reject",
        summary="Reject a proposal, or take an own one back",
        responses=problems(404, 409, 503),
    )
    def reject(asking: Officer, proposal_id: str, body: Rejection) -> ProposalView:
        return ProposalView.of(control.reject(proposal_id, actor=asking, reason=body.reason))

    return router
