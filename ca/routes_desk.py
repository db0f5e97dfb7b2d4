"""HTTP for the desk of a registration authority: entry, review, changes of status.

The paths are those of the authority's own API, so that the same commands work at both.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header

from ca.desk import Desk, DeskState
from ca.operations import Operation
from ca.organisations import Organisations
from ca.organisations_store import OrganisationQuery
from ca.reasons import RevocationReason
from ca.rightchanges import RightChanges
from ca.rights import Rights
from ca.rights_store import Step
from ca.routes_rights import add_right_routes
from ca.schemas import RejectRequest, RevokeRequest, SubmitRequest
from ca.schemas_desk import BranchList, BranchPlace, DeskList, DeskView
from ca.serials import from_hex, to_hex
from ca.wire import Cursor, Limit, Reader, Writer, problems, require_sight, scope_of
from core.identity import Principal

_ACCEPTED = HTTPStatus.ACCEPTED


def make_desk_router(
    desk: Desk, organisations: Organisations, rights: Rights, changes: RightChanges
) -> APIRouter:
    """Serve acts, the branch and the rights in it."""
    router = APIRouter(prefix="/api/v1")
    _add_requests(router, desk, rights)
    _add_decisions(router, desk, rights)
    _add_changes(router, desk, rights)
    add_right_routes(router, rights, changes)

    @router.get(
        "/organisations",
        tags=["organisations"],
        summary="List the organisations of the branch",
        responses=problems(),
    )
    def list_organisations(asking: Reader, cursor: Cursor = None, limit: Limit = 100) -> BranchList:
        query = OrganisationQuery(scope=scope_of(asking, rights))
        page = organisations.list_organisations(query, cursor=cursor, limit=limit)
        items = tuple(BranchPlace.of(item) for item in page.items)
        return BranchList(items=items, next_cursor=page.next_cursor)

    return router


def _add_requests(router: APIRouter, desk: Desk, rights: Rights) -> None:
    @router.post(
        "/requests",
        tags=["requests"],
        summary="Enter an application for a certificate",
        description="It waits for a review here, and then for the certificate authority.",
        status_code=_ACCEPTED,
        responses=problems(404, 409, 413, 422, 503),
    )
    def submit(
        asking: Writer,
        body: SubmitRequest,
        idempotency_key: Annotated[str | None, Header(max_length=128)] = None,
    ) -> DeskView:
        place = rights.place(
            asking.name,
            Operation.APPLY,
            Step.ENTRY,
            organisation=body.organisation,
            profile=body.profile,
        )
        return DeskView.of(
            desk.apply(body, organisation=place, actor=asking.name, key=idempotency_key)
        )

    @router.get("/requests", tags=["requests"], summary="List acts", responses=problems())
    def list_acts(
        asking: Reader, state: DeskState | None = None, cursor: Cursor = None, limit: Limit = 100
    ) -> DeskList:
        scope = scope_of(asking, rights)
        page = desk.list_acts(state=state, scope=scope, cursor=cursor, limit=limit)
        items = tuple(DeskView.of(record) for record in page.items)
        return DeskList(items=items, next_cursor=page.next_cursor)

    @router.get(
        "/requests/{request_id}",
        tags=["requests"],
        summary="Look at an act, and what it gave",
        responses=problems(404),
    )
    def get_act(asking: Reader, request_id: str) -> DeskView:
        record = desk.get(request_id)
        require_sight(asking, rights, organisation=record.organisation_id)
        return DeskView.of(record)


def _add_decisions(router: APIRouter, desk: Desk, rights: Rights) -> None:
    def require_reviewer(asking: Principal, request_id: str) -> None:
        record = desk.get(request_id)
        rights.require(
            asking.name,
            record.operation,
            Step.REVIEW,
            organisation=record.organisation_id,
            profile=record.profile,
        )

    @router.post(
        "/requests/{request_id}/approve",
        tags=["requests"],
        summary="Approve an application: it goes to the certificate authority",
        responses=problems(404, 409, 503),
    )
    def approve(asking: Writer, request_id: str) -> DeskView:
        require_reviewer(asking, request_id)
        return DeskView.of(desk.approve(request_id, actor=asking.name))

    @router.post(
        "/requests/{request_id}/reject",
        tags=["requests"],
        summary="Reject an application",
        responses=problems(404, 409, 503),
    )
    def reject(asking: Writer, request_id: str, body: RejectRequest) -> DeskView:
        require_reviewer(asking, request_id)
        return DeskView.of(desk.reject(request_id, actor=asking.name, reason=body.reason))


def _add_changes(router: APIRouter, desk: Desk, rights: Rights) -> None:
    def change(
        operation: Operation,
        issuer: str,
        serial: str,
        asking: Principal,
        reason: RevocationReason | None = None,
    ) -> DeskView:
        name = to_hex(from_hex(serial))
        known = desk.find_given(issuer, name)
        # What was not applied for here needs a right over the whole branch.
        organisation = None if known is None else known.organisation_id
        profile = None if known is None else known.profile
        rights.require(
            asking.name, operation, Step.ENTRY, organisation=organisation, profile=profile
        )
        record = desk.act(
            operation, issuer, name, reason=reason, organisation=organisation, actor=asking.name
        )
        return DeskView.of(record)

    path = "/certificates/{issuer}/{serial}"

    @router.post(
        f"{path}/revoke",
        tags=["certificates"],
        summary="Have a certificate revoked",
        status_code=_ACCEPTED,
        responses=problems(422, 503),
    )
    def revoke(asking: Writer, issuer: str, serial: str, body: RevokeRequest) -> DeskView:
        return change(Operation.REVOKE, issuer, serial, asking, body.reason)

    @router.post(
        f"{path}/hold",
        tags=["certificates"],
        summary="Have a certificate suspended",
        status_code=_ACCEPTED,
        responses=problems(422, 503),
    )
    def hold(asking: Writer, issuer: str, serial: str) -> DeskView:
        return change(Operation.FREEZE, issuer, serial, asking)

    @router.post(
        f"{path}/release",
        tags=["certificates"],
        summary="Have a suspension ended",
        status_code=_ACCEPTED,
        responses=problems(422, 503),
    )
    def release(asking: Writer, issuer: str, serial: str) -> DeskView:
        return change(Operation.UNFREEZE, issuer, serial, asking)
