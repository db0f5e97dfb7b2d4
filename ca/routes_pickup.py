"""HTTP for pick-ups: subscribers bring two codes and a CSR; operators send the codes again."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from ca.handover import DeliveryDesk
from ca.operations import Operation
from ca.pickup import PickupDesk
from ca.requests import RequestState
from ca.resend import PickupResend
from ca.rights_store import Step
from ca.routes_access import Access
from ca.schemas import RequestView
from ca.schemas_pickup import DeliveryView, PickupRequest
from ca.wire import Writer, problems


def add_pickup_routes(
    router: APIRouter,
    desk: PickupDesk,
    resends: PickupResend,
    deliveries: DeliveryDesk,
    access: Access,
) -> None:
    """Add ``/pickup``, open to everybody, and ``/requests/{request_id}/pickup-resend``."""

    @router.post(
        "/pickup",
        tags=["subscribers"],
        summary="Fetch a certificate with a reference number and an authorisation code",
        description="Needs no login. The codes serve one key: with another CSR they are refused "
        "like wrong ones; with the same key the same certificate is given again.",
        responses=problems(413, 422, 503),
    )
    def pick_up(body: PickupRequest, request: Request, response: Response) -> DeliveryView:
        address = "unknown" if request.client is None else request.client.host
        record = desk.collect(body.reference, body.code, body.csr.encode(), address=address)
        response.headers["Cache-Control"] = "no-store"
        return DeliveryView.of(deliveries.of(record))

    @router.post(
        "/requests/{request_id}/pickup-resend",
        tags=["requests"],
        summary="Make new codes for a pick-up; the old ones end",
        status_code=HTTPStatus.CREATED,
        responses={
            202: {"model": RequestView, "description": "It waits for approval."},
            **problems(404, 409, 503),
        },
        dependencies=[access.act_on_request(Step.ENTRY, Operation.PICKUP_RESEND)],
    )
    def resend(asking: Writer, request_id: str, response: Response) -> RequestView:
        record = resends.resend(request_id, actor=asking.name)
        if record.state is RequestState.PENDING:
            response.status_code = HTTPStatus.ACCEPTED
        response.headers["Cache-Control"] = "no-store"
        return RequestView.of(record)
