"""HTTP for changes of administrators: role, lock-out, new credentials (role: system).

202 and a proposal where others have to agree first (docs/control.md).
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Response
from fastapi.responses import JSONResponse

from authn.factorreset import FactorReset
from authn.rolechanges import RoleChanges
from authn.schemas import FactorResetReason, Proposed, RoleChange, SetupLink
from authn.users import Users
from core.control_store import Proposal, ProposalState
from core.http import require_role
from core.identity import Principal, Role

System = Annotated[Principal, Depends(require_role(Role.SYSTEM))]

PROPOSED: Final[dict[int | str, dict[str, Any]]] = {
    202: {"model": Proposed, "description": "Others have to agree first."}
}


def proposed(proposal: Proposal, response: Response) -> Proposed:
    """Show a proposal, with 202 unless the act is done."""
    if proposal.state is not ProposalState.EXECUTED:
        response.status_code = HTTPStatus.ACCEPTED
    return Proposed.of(proposal)


def add_role_routes(
    router: APIRouter, users: Users, roles: RoleChanges, factor_reset: FactorReset, *, issuer: str
) -> None:
    """Add what changes an administrator to `router`."""

    @router.post("/users/{user_id}/role", responses=PROPOSED)
    def assign(user_id: str, body: RoleChange, asking: System, response: Response) -> Proposed:
        """Give a user another role, or none; sessions and tokens end with the old one."""
        proposal = roles.assign(users.get(user_id), body.role, actor=asking.name)
        return proposed(proposal, response)

    @router.post("/users/{user_id}/credential", status_code=HTTPStatus.ACCEPTED)
    def propose_credential(user_id: str, asking: System) -> Proposed:
        """Propose a new setup link or binding for an administrator; it is made when approved."""
        return Proposed.of(roles.propose_credential(users.get(user_id), actor=asking.name))

    @router.post("/users/{user_id}/reset-factors", status_code=HTTPStatus.CREATED)
    def reset_factors(
        user_id: str, body: FactorResetReason, asking: System, response: Response
    ) -> SetupLink:
        """Take a lost second factor away; the link enrols another, and lets nobody in before.

        Nobody resets their own. For an administrator it is a new credential, which may need an
        approval.
        """
        token = factor_reset.reset(users.get(user_id), reason=body.reason, actor=asking.name)
        response.headers["Cache-Control"] = "no-store"
        return SetupLink(url=f"{issuer}/setup/{token}")

    def set_disabled(user_id: str, asking: Principal, *, off: bool) -> Response:
        proposal = roles.set_disabled(users.get(user_id), disabled=off, actor=asking.name)
        if proposal is None or proposal.state is ProposalState.EXECUTED:
            return Response(status_code=HTTPStatus.NO_CONTENT)
        return JSONResponse(
            Proposed.of(proposal).model_dump(mode="json"), status_code=HTTPStatus.ACCEPTED
        )

    @router.post("/users/{user_id}/disable", status_code=HTTPStatus.NO_CONTENT, responses=PROPOSED)
    def disable(user_id: str, asking: System) -> Response:
        """Lock a user out; their sessions end."""
        return set_disabled(user_id, asking, off=True)

    @router.post("/users/{user_id}/enable", status_code=HTTPStatus.NO_CONTENT, responses=PROPOSED)
    def enable(user_id: str, asking: System) -> Response:
        """Let a user in again."""
        return set_disabled(user_id, asking, off=False)
