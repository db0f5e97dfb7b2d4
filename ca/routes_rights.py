"""HTTP for rights: give, take, list."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query

from ca.operations import Operation
from ca.rights import Rights
from ca.schemas_organisations import GrantRequest, RightList, RightView
from ca.wire import Cursor, Limit, Reader, Writer, problems, scope_of


def add_right_routes(router: APIRouter, rights: Rights) -> None:
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
    ) -> RightList:
        own = operator == asking.name
        scope = None if own else scope_of(asking, rights, Operation.RIGHTS)
        page = rights.list_rights(operator=operator, scope=scope, cursor=cursor, limit=limit)
        return RightList(
            items=tuple(RightView.of(right) for right in page.items),
            next_cursor=page.next_cursor,
        )

    @router.post(
        "/rights",
        tags=["rights"],
        summary="Give an operator a right over an organisation and all below it",
        status_code=HTTPStatus.CREATED,
        responses=problems(404, 409, 422, 503),
    )
    def grant(asking: Writer, body: GrantRequest) -> RightView:
        return RightView.of(
            rights.grant(body.operator, body.organisation, body.grant(), actor=asking.name)
        )

    @router.delete(
        "/rights/{right_id}",
        tags=["rights"],
        summary="Take a right away",
        status_code=HTTPStatus.NO_CONTENT,
        responses=problems(404, 409, 503),
    )
    def revoke(asking: Writer, right_id: str) -> None:
        rights.revoke(right_id, actor=asking.name)
