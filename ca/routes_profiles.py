"""HTTP for changing profiles (role: system), and their versions."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field

from ca.profilechanges import MAX_PROFILES, MAX_TEXT, ProfileChanges
from core.control_store import ProposalState
from core.http import require_role
from core.identity import Principal, Role
from core.openapi import problems

System = Annotated[Principal, Depends(require_role(Role.SYSTEM))]
Reader = Annotated[Principal, Depends(require_role(Role.SYSTEM, Role.BUSINESS, Role.AUDIT))]


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NewProfiles(_Wire):
    """Profiles that shall be in force together."""

    profiles: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=MAX_TEXT)], ...],
        Field(min_length=1, max_length=MAX_PROFILES, description="Each a TOML document."),
    ]


class ProfileProposed(_Wire):
    """What would change, and whether others have to agree first (docs/control.md)."""

    proposal: str
    state: ProposalState
    summary: str


class ProfileVersionView(_Wire):
    """A version of a profile."""

    number: int
    text: str
    proposal: str
    actor: str
    at: datetime


def make_router(changes: ProfileChanges) -> APIRouter:
    """Serve changes of profiles."""
    router = APIRouter(prefix="/api/v1/profiles", tags=["issuers"])

    @router.post(
        "",
        summary="Propose profiles",
        description="201: they are in force. 202: others have to agree first.",
        status_code=HTTPStatus.CREATED,
        responses={202: {"model": ProfileProposed}, **problems(409, 422, 503)},
    )
    def propose(asking: System, body: NewProfiles, response: Response) -> ProfileProposed:
        proposal = changes.propose(body.profiles, actor=asking.name)
        if proposal.state is not ProposalState.EXECUTED:
            response.status_code = HTTPStatus.ACCEPTED
        return ProfileProposed(proposal=proposal.id, state=proposal.state, summary=proposal.summary)

    @router.get(
        "/{name}/versions",
        summary="List the versions of a profile that were decided, oldest first",
        responses=problems(),
    )
    def list_versions(_: Reader, name: str) -> list[ProfileVersionView]:
        return [
            ProfileVersionView(
                number=version.number,
                text=version.text,
                proposal=version.proposal,
                actor=version.actor,
                at=version.at,
            )
            for version in changes.list_versions(name)
        ]

    return router
