"""HTTP for pick-ups: subscribers bring two codes and a CSR; operators send the codes again."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from ca.csr import CSR
from ca.desks import Desks
from ca.enrollment import EnrollmentService
from ca.operations import Operation
from ca.requests import EnrollmentRecord, RequestState
from ca.rights_store import Step
from ca.routes_access import Access
from ca.schemas import RequestView
from ca.schemas_pickup import DeliveryView, PickupRequest
from ca.wire import Writer, problems


def add_pickup_routes(
    router: APIRouter, desks: Desks, enrollment: EnrollmentService, access: Access
) -> None:
    """Add ``/pickup``, open to everybody, and ``/requests/{request_id}/pickup-resend``."""

    @router.post(
        "/pickup",
        tags=["subscribers"],
        summary="Fetch a certificate with a reference number and an authorisation code",
        description="Needs no login. The codes serve one key: with another CSR they are refused "
        "like wrong ones; with the same key the same certificate is given again, and the "
        "encryption key of a pair in any `format` of its `envelopes`.",
        responses=problems(409, 413, 422, 503),
    )
    def pick_up(body: PickupRequest, request: Request, response: Response) -> DeliveryView:
        address = "unknown" if request.client is None else request.client.host
        wanted = body.wanted

        def take(request_id: str, csr: CSR) -> EnrollmentRecord:
            double = csr.temporary_key is not None
            desks.deliveries.check(enrollment.get(request_id).profile, wanted, double=double)
            return enrollment.take_key(
                request_id,
                spki=csr.spki,
                temporary_key=csr.temporary_key,
                actor=f"subscriber:{request_id}",
            )

        record = desks.pickup.collect(
            body.reference, body.code, body.csr.encode(), address=address, take=take
        )
        response.headers["Cache-Control"] = "no-store"
        return DeliveryView.of(desks.deliveries.of(record, wanted))

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
        record = desks.resends.resend(request_id, actor=asking.name)
        if record.state is RequestState.PENDING:
            response.status_code = HTTPStatus.ACCEPTED
        response.headers["Cache-Control"] = "no-store"
        return RequestView.of(record)
