"""HTTP for requests: submit, list, approve, make, reject."""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Header, Request, Response
from starlette.routing import BaseRoute

from ca.csr import parse_csr
from ca.enrollment import EnrollmentService
from ca.idempotency import Idempotency
from ca.operations import Operation
from ca.requests import RequestState
from ca.rights_store import Step
from ca.routes_access import Access
from ca.schemas import MakeRequest, RejectRequest, RequestList, RequestView, SubmitRequest
from ca.submitting import request_in
from ca.wire import Cursor, Limit, Reader, Sort, Writer, problems, scope_of
from core.direct import DirectRoute, in_thread
from core.http import answer, require_role
from core.identity import Principal, Role

_MAX_KEY: Final = 128


def add_request_routes(
    router: APIRouter, enrollment: EnrollmentService, access: Access, *, accept_empty_sm2_id: bool
) -> None:
    """Add ``/requests`` to `router`."""

    def submit(
        asking: Writer,
        body: SubmitRequest,
        idempotency_key: Annotated[str | None, Header(max_length=_MAX_KEY)] = None,
    ) -> Response:
        organisation = access.place(
            asking,
            Operation.APPLY,
            profile=body.profile,
            organisation=body.organisation,
            subject=body.subject_id,
        )
        request = request_in(
            body,
            requester=asking.name,
            organisation=organisation,
            accept_empty_sm2_id=accept_empty_sm2_id,
            subject=body.subject_id,
        )
        record = enrollment.submit(
            request,
            profile=body.profile,
            issuer=body.issuer,
            idempotency=None
            if idempotency_key is None
            else Idempotency(idempotency_key, body.fingerprint),
        )
        issued = record.state is RequestState.ISSUED
        return answer(
            RequestView.of(record),
            HTTPStatus.CREATED if issued else HTTPStatus.ACCEPTED,
            headers={"Location": f"/api/v1/requests/{record.id}"},
        )

    router.add_api_route(
        "/requests",
        submit,
        methods=["POST"],
        route_class_override=DirectRoute,
        tags=["requests"],
        summary="Submit a request for a certificate",
        description="201 when the certificate is issued, 202 when it waits for somebody. Without "
        "a CSR, its subscriber brings the key to a pick-up, or its maker to the make step. With "
        "an "
        "Idempotency-Key the same call can be repeated after any failure and gives the same "
        "certificate; another body under the same key is refused.",
        status_code=HTTPStatus.CREATED,
        response_model=RequestView,
        responses={
            202: {"model": RequestView, "description": "It waits for approval."},
            **problems(404, 409, 413, 422, 503),
        },
    )
    _serve_directly(router.routes[-1], submit)

    @router.get("/requests", tags=["requests"], summary="List requests", responses=problems())
    def list_requests(
        asking: Reader,
        *,
        state: RequestState | None = None,
        cursor: Cursor = None,
        limit: Limit = 100,
        sort: Sort = None,
    ) -> RequestList:
        scope = scope_of(asking, access.rights)
        page = enrollment.list_requests(
            state=state, scope=scope, cursor=cursor, limit=limit, sort=sort
        )
        return RequestList(
            items=tuple(RequestView.of(record) for record in page.items),
            next_cursor=page.next_cursor,
        )

    @router.get(
        "/requests/{request_id}",
        tags=["requests"],
        summary="Look at a request",
        responses=problems(404),
        dependencies=[access.see_request()],
    )
    def get_request(_: Reader, request_id: str) -> RequestView:
        return RequestView.of(enrollment.get(request_id))

    @router.post(
        "/requests/{request_id}/approve",
        tags=["requests"],
        summary="Approve a request, and issue its certificate unless another step comes first",
        responses=problems(404, 409, 422, 503),
        dependencies=[access.act_on_request(Step.REVIEW)],
    )
    def approve(asking: Writer, request_id: str) -> RequestView:
        return RequestView.of(enrollment.approve(request_id, actor=asking.name))

    @router.post(
        "/requests/{request_id}/make",
        tags=["requests"],
        summary="Make the certificate of a reviewed request",
        description="For requests whose profile or review rule has a make step. Who reviewed "
        "does not make.",
        responses=problems(404, 409, 413, 422, 503),
        dependencies=[access.act_on_request(Step.MAKE)],
    )
    def make(asking: Writer, request_id: str, body: MakeRequest) -> RequestView:
        if body.csr is None:
            return RequestView.of(enrollment.make(request_id, actor=asking.name))
        csr = parse_csr(body.csr.encode(), accept_empty_sm2_id=accept_empty_sm2_id)
        return RequestView.of(
            enrollment.make(
                request_id,
                actor=asking.name,
                spki=csr.spki,
                temporary_key=csr.temporary_key,
            )
        )

    @router.post(
        "/requests/{request_id}/reject",
        tags=["requests"],
        summary="Reject a request",
        responses=problems(404, 409, 503),
        dependencies=[access.act_on_request(Step.REVIEW)],
    )
    def reject(asking: Writer, request_id: str, body: RejectRequest) -> RequestView:
        return RequestView.of(enrollment.reject(request_id, actor=asking.name, reason=body.reason))


def _serve_directly(
    route: BaseRoute, submit: Callable[[Principal, SubmitRequest, str | None], Response]
) -> None:
    """Call `submit` ahead of FastAPI with what is certainly as the route wants it."""
    may_write = require_role(Role.BUSINESS)

    async def direct(request: Request) -> Response | None:
        asking = await may_write(request)
        headers = request.headers
        key = headers.get("idempotency-key")
        plain = headers.get("content-type") == "application/json"
        if not plain or (key is not None and len(key) > _MAX_KEY):
            return None
        try:
            body = SubmitRequest.model_validate(json.loads(await request.body()))
        except (ValueError, RecursionError):  # pydantic's, too: the route says what is wrong
            return None
        return await in_thread(submit, asking, body, key)

    if not isinstance(route, DirectRoute):
        raise TypeError("this route cannot be served directly")
    route.direct = direct
