"""HTTP for the desk of a registration authority: entry, review, query.

The paths are those of the authority's own API, so that the same commands work at both.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from ca.desk import Desk
from ca.desk_store import DeskQuery, DeskState
from ca.operations import Operation
from ca.organisations import Organisations
from ca.rightchanges import RightChanges
from ca.rights import Rights
from ca.rights_store import Step
from ca.routes_desk_changes import add_change_routes
from ca.routes_desk_statistics import add_desk_statistics
from ca.routes_organisations import add_organisation_reading
from ca.routes_rights import add_right_routes
from ca.schemas import ProfileView, RejectRequest, SubmitRequest
from ca.schemas_desk import DeskIssuer, DeskList, DeskView
from ca.serials import from_hex, to_hex
from ca.wire import Cursor, Limit, Reader, Sort, Viewer, Writer, problems, require_sight, scope_of
from core.clock import Clock
from core.identity import Principal

_ACCEPTED = HTTPStatus.ACCEPTED


def make_desk_router(
    desk: Desk,
    organisations: Organisations,
    rights: Rights,
    changes: RightChanges,
    *,
    issuers: Sequence[str],
    clock: Clock,
) -> APIRouter:
    """Serve acts, the branch and the rights in it.

    `issuers`: names of the authority's issuers that operators are offered; others can be asked for.
    """
    router = APIRouter(prefix="/api/v1")
    _add_requests(router, desk, rights)
    _add_decisions(router, desk, rights)
    add_change_routes(router, desk, rights)
    add_desk_statistics(router, desk, rights, clock=clock)
    add_right_routes(router, rights, changes)
    add_organisation_reading(router, organisations, rights)

    @router.get("/issuers", tags=["issuers"], summary="List the issuers that operators are offered")
    def list_issuers(_: Viewer) -> list[DeskIssuer]:
        return [DeskIssuer(name=name) for name in issuers]

    @router.get("/profiles", tags=["issuers"], summary="List the profiles that can be asked for")
    def list_profiles(_: Viewer) -> list[ProfileView]:
        return [ProfileView.of(one) for one in desk.profiles.values() if one.requestable]

    return router


def _add_requests(router: APIRouter, desk: Desk, rights: Rights) -> None:
    @router.post(
        "/requests",
        tags=["requests"],
        summary="Enter an application for a certificate",
        description="It waits for a review here, and then for the certificate authority. Without "
        "a CSR its subscriber brings the key to a pick-up, with the codes of the review.",
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

    @router.get("/requests", tags=["requests"], summary="Look for acts", responses=problems(422))
    def list_acts(
        asking: Reader,
        *,
        state: DeskState | None = None,
        operation: Operation | None = None,
        subject: Annotated[str | None, Query(max_length=200)] = None,
        serial: Annotated[str | None, Query(max_length=60)] = None,
        cursor: Cursor = None,
        limit: Limit = 100,
        sort: Sort = None,
    ) -> DeskList:
        name = None if serial is None else to_hex(from_hex(serial))
        query = DeskQuery(state, operation, subject, name)
        page = desk.list_acts(
            query, scope=scope_of(asking, rights), cursor=cursor, limit=limit, sort=sort
        )
        items = tuple(DeskView.of(record, listed=True) for record in page.items)
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
        summary="Approve an act: it goes to the certificate authority, or its codes are made",
        responses=problems(404, 409, 503),
    )
    def approve(asking: Writer, request_id: str, response: Response) -> DeskView:
        require_reviewer(asking, request_id)
        response.headers["Cache-Control"] = "no-store"
        return DeskView.of(desk.approve(request_id, actor=asking.name))

    @router.post(
        "/requests/{request_id}/reject",
        tags=["requests"],
        summary="Reject an act",
        responses=problems(404, 409, 503),
    )
    def reject(asking: Writer, request_id: str, body: RejectRequest) -> DeskView:
        require_reviewer(asking, request_id)
        return DeskView.of(desk.reject(request_id, actor=asking.name, reason=body.reason))
