"""HTTP for revoking many certificates and for blocked keys."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Self

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from ca.blockedkeys import BlockedKey
from ca.massrevocation import MassRevocations
from ca.massrevocation_store import (
    MAX_SERIALS,
    Chosen,
    MassRevocation,
    MassState,
    Preview,
    Selection,
)
from ca.operations import Operation
from ca.reasons import RevocationReason
from ca.rights import Rights
from ca.rights_store import Step
from ca.serials import to_hex
from ca.wire import Limit, Reader, Writer, problems, scope_of
from core.control_store import ProposalState
from core.errors import Forbidden, NotFound
from core.identity import Principal, Role
from core.openapi import After, Sort

_Fingerprint = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SelectionBody(_Wire):
    """Which certificates: everything that is given must hold."""

    issuer: _Name | None = None
    profile: _Name | None = None
    organisation: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None
    """The top of a subtree."""
    issued_after: AwareDatetime | None = None
    issued_before: AwareDatetime | None = None
    serials: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{1,40}$")], ...],
        Field(max_length=MAX_SERIALS),
    ] = ()
    spki_fingerprint: _Fingerprint | None = None
    """SHA-256 of a SubjectPublicKeyInfo: everything issued for that key, which is blocked too."""

    def selection(self) -> Selection:
        """Raises `Malformed`."""
        given = self.model_dump(include=set(SelectionBody.model_fields))
        return Selection(**given)


class MassRevocationRequest(SelectionBody):
    """What to revoke, and why."""

    reason: RevocationReason


class ChosenView(_Wire):
    """One certificate that would be revoked."""

    issuer: str
    serial: str
    profile: str
    subject: str

    @classmethod
    def of(cls, one: Chosen) -> Self:
        """Show one certificate."""
        return cls(
            issuer=one.issuer, serial=to_hex(one.serial), profile=one.profile, subject=one.subject
        )


class CountView(_Wire):
    """How many of one kind."""

    issuer: str
    profile: str
    certificates: int


class PreviewView(_Wire):
    """What would be revoked now."""

    total: int
    counts: tuple[CountView, ...]
    first: tuple[ChosenView, ...]

    @classmethod
    def of(cls, preview: Preview) -> Self:
        """Show a preview."""
        return cls(
            total=preview.total,
            counts=tuple(
                CountView(issuer=issuer, profile=profile, certificates=number)
                for (issuer, profile), number in sorted(preview.counts.items())
            ),
            first=tuple(ChosenView.of(one) for one in preview.first),
        )


class ProposedView(_Wire):
    """What was asked for, and whether others have to agree first (docs/control.md)."""

    proposal: str
    state: ProposalState
    summary: str


class MassRevocationView(_Wire):
    """One revocation of many, and how far it is."""

    id: str
    state: MassState
    selection: dict[str, str | list[str]]
    reason: RevocationReason
    actor: str
    created_at: datetime
    finished_at: datetime | None
    expected: int
    revoked: int
    refused: int

    @classmethod
    def of(cls, job: MassRevocation) -> Self:
        """Show a mass revocation."""
        return cls(
            id=job.id,
            state=job.state,
            selection=job.selection.document(),
            reason=job.reason,
            actor=job.actor,
            created_at=job.created_at,
            finished_at=job.finished_at,
            expected=job.expected,
            revoked=job.revoked,
            refused=job.refused,
        )


class NewBlockedKey(_Wire):
    """A key that shall never be certified again."""

    spki_fingerprint: _Fingerprint
    reason: Annotated[str, Field(min_length=1, max_length=1000)]


class BlockedKeyView(_Wire):
    """A blocked key."""

    number: int
    spki_fingerprint: str
    reason: str
    actor: str
    blocked_at: datetime

    @classmethod
    def of(cls, number: int, key: BlockedKey) -> Self:
        """Show a blocked key."""
        return cls(
            number=number,
            spki_fingerprint=key.spki_fingerprint,
            reason=key.reason,
            actor=key.actor,
            blocked_at=key.blocked_at,
        )


def make_router(mass: MassRevocations, rights: Rights) -> APIRouter:
    """Serve mass revocations and blocked keys."""
    router = APIRouter(prefix="/api/v1", tags=["mass revocation"])

    @router.post(
        "/mass-revocations/preview",
        summary="Count what would be revoked, and show the first of it; changes nothing",
        responses=problems(),
    )
    def preview(asking: Writer, body: SelectionBody) -> PreviewView:
        selection = body.selection()
        _require_right(rights, asking.name, selection)
        return PreviewView.of(mass.preview(selection))

    @router.post(
        "/mass-revocations",
        summary="Revoke many certificates, when those agree who have to",
        description="201: it has begun, under the id of the proposal. 202: others agree first.",
        status_code=HTTPStatus.CREATED,
        responses={202: {"model": ProposedView}, **problems(409, 422, 503)},
    )
    def revoke(asking: Writer, body: MassRevocationRequest, response: Response) -> ProposedView:
        selection = body.selection()
        _require_right(rights, asking.name, selection)
        proposal = mass.propose(selection, body.reason, actor=asking.name)
        if proposal.state is not ProposalState.EXECUTED:
            response.status_code = HTTPStatus.ACCEPTED
        return ProposedView(proposal=proposal.id, state=proposal.state, summary=proposal.summary)

    @router.get(
        "/mass-revocations",
        summary="List mass revocations, newest first",
        description="By `created`, `state`, `reason`, `actor` or `expected`.",
        responses=problems(),
    )
    def list_jobs(
        asking: Reader,
        *,
        state: MassState | None = None,
        limit: Limit = 100,
        sort: Sort = None,
        after: After = None,
    ) -> list[MassRevocationView]:
        scope_of(asking, rights, Operation.REVOKE)
        jobs = mass.list_jobs(
            may_see=lambda selection: _may_see(rights, asking, selection),
            state=state,
            limit=limit,
            sort=sort,
            after=after,
        )
        return [MassRevocationView.of(job) for job in jobs]

    @router.get("/mass-revocations/{job_id}", summary="See how far one is", responses=problems(404))
    def get(asking: Reader, job_id: str) -> MassRevocationView:
        scope_of(asking, rights, Operation.REVOKE)
        job = mass.get(job_id)
        if not _may_see(rights, asking, job.selection):
            raise NotFound("there is no such mass revocation in what you may revoke")
        return MassRevocationView.of(job)

    _add_blocked_keys(router, mass, rights)
    return router


def _add_blocked_keys(router: APIRouter, mass: MassRevocations, rights: Rights) -> None:
    @router.post(
        "/blocked-keys",
        summary="Never certify this public key again",
        description="For good. Certificates that have it already stay as they are: see "
        "`/mass-revocations` with `spki_fingerprint`.",
        status_code=HTTPStatus.NO_CONTENT,
        responses=problems(422, 503),
    )
    def block(asking: Writer, body: NewBlockedKey) -> None:
        rights.require(asking.name, Operation.REVOKE, Step.ENTRY, organisation=None, profile=None)
        mass.blocked.block(body.spki_fingerprint, reason=body.reason, actor=asking.name)

    @router.get("/blocked-keys", summary="List blocked keys", responses=problems())
    def list_blocked(
        _: Reader,
        after: Annotated[int, Query(ge=0, lt=1 << 63, description="The last number seen.")] = 0,
        limit: Limit = 100,
    ) -> list[BlockedKeyView]:
        return [BlockedKeyView.of(*one) for one in mass.blocked.list_keys(after=after, limit=limit)]


def _require_right(rights: Rights, name: str, selection: Selection) -> None:
    # Without an organisation it is about the whole tree; a key may be used anywhere in it.
    rights.require(
        name,
        Operation.REVOKE,
        Step.ENTRY,
        organisation=None if selection.spki_fingerprint else selection.organisation,
        profile=selection.profile,
    )


def _may_see(rights: Rights, asking: Principal, selection: Selection) -> bool:
    """Whether the caller could have asked for it, or reads everything as an auditor."""
    if asking.role is Role.AUDIT:
        return True
    try:
        _require_right(rights, asking.name, selection)
    except Forbidden:
        return False
    return True
