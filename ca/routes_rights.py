"""HTTP for rights: give, take, list."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse

from ca.operations import Operation
from ca.rightchanges import RightChanges
from ca.rights import Rights
from ca.schemas_organisations import GrantRequest, RightList, RightProposed, RightView
from ca.wire import Cursor, Limit, Reader, Sort, Writer, problems, scope_of
from core.control_store import Proposal, ProposalState

_PROPOSED: Final[dict[int | str, dict[str, Any]]] = {
    202: {"model": RightProposed, "description": "Others have to agree first (docs/control.md)."}
}


def add_right_routes(router: APIRouter, rights: Rights, changes: RightChanges) -> None:
    """Add ``/rights`` to `router`."""

    @router.get(
        "/rights",
        tags=["rights"],
        summary="List rights, oldest first",
        description="One's own always; those of others where one manages rights.",
        responses=problems(),
    )
    def list_rights(
        asking: Reader,
        *,
        operator: Annotated[str | None, Query(max_length=64)] = None,
        cursor: Cursor = None,
        limit: Limit = 100,
        sort: Sort = None,
    ) -> RightList:
        own = operator == asking.name
        scope = None if own else scope_of(asking, rights, Operation.RIGHTS)
        page = rights.list_rights(
            operator=operator, scope=scope, cursor=cursor, limit=limit, sort=sort
        )
        return RightList(
            items=tuple(RightView.of(right) for right in page.items),
            next_cursor=page.next_cursor,
        )

    @router.post(
        "/rights",
        tags=["rights"],
        summary="Give an operator a right over an organisation and all below it",
        status_code=HTTPStatus.CREATED,
        response_model=RightView | RightProposed,
        responses={**_PROPOSED, **problems(404, 409, 422, 503)},
    )
    def grant(asking: Writer, body: GrantRequest) -> RightView | JSONResponse:
        proposal = changes.grant(body.operator, body.organisation, body.grant(), actor=asking.name)
        if proposal.state is not ProposalState.EXECUTED:
            return _proposed(proposal)
        return RightView.of(rights.get(proposal.arguments()["right"]))

    @router.delete(
        "/rights/{right_id}",
        tags=["rights"],
        summary="Take a right away",
        status_code=HTTPStatus.NO_CONTENT,
        response_class=Response,
        responses={**_PROPOSED, **problems(404, 409, 503)},
    )
    def revoke(asking: Writer, right_id: str) -> Response:
        proposal = changes.revoke(right_id, actor=asking.name)
        if proposal.state is not ProposalState.EXECUTED:
            return _proposed(proposal)
        return Response(status_code=HTTPStatus.NO_CONTENT)


def _proposed(proposal: Proposal) -> JSONResponse:
    shown = RightProposed(
        proposal=proposal.id, state=proposal.state, summary=proposal.summary
    ).model_dump(mode="json")
    return JSONResponse(shown, HTTPStatus.ACCEPTED)
