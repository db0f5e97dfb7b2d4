"""HTTP for pick-ups at the desk of a registration authority: codes, a CSR, and what came of it."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from ca.csr import CSR
from ca.desk import Desk
from ca.desk_bodies import WantedKey
from ca.desk_pickup import DeskDelivery, DeskPickup, first_of
from ca.operations import Operation
from ca.pickup import PickupDesk
from ca.requests import RequestState
from ca.rights import Rights
from ca.rights_store import Step
from ca.schemas_desk import DeskView
from ca.schemas_pickup import DeliveryView, PickupRequest
from ca.wire import Writer, problems


def make_desk_pickup_router(
    desk: Desk, pickup: PickupDesk, keys: DeskPickup, rights: Rights
) -> APIRouter:
    """Serve ``/pickup``, open to everybody, and ``/requests/{request_id}/pickup-resend``."""
    router = APIRouter(prefix="/api/v1")

    @router.post(
        "/pickup",
        tags=["subscribers"],
        summary="Fetch a certificate with a reference number and an authorisation code",
        description="Needs no login. 202 while the certificate authority has not answered: ask "
        "again with the same key, after some seconds.",
        responses={202: {"model": DeliveryView}, **problems(409, 413, 422, 503)},
    )
    def pick_up(body: PickupRequest, request: Request, response: Response) -> DeliveryView:
        address = "unknown" if request.client is None else request.client.host
        # Read before the codes are looked at: what is malformed costs none.
        wanted = None if body.wanted is None else _wanted(body)

        def take(request_id: str, csr: CSR) -> DeskDelivery:
            return keys.take(request_id, csr, body.csr, wanted)

        delivery = pickup.collect(
            body.reference, body.code, body.csr.encode(), address=address, take=take
        )
        response.headers["Cache-Control"] = "no-store"
        if not delivery.complete:
            response.status_code = HTTPStatus.ACCEPTED
            response.headers["Retry-After"] = "5"
        return _view(delivery)

    @router.post(
        "/requests/{request_id}/pickup-resend",
        tags=["requests"],
        summary="Make new codes for a pick-up; the old ones end",
        status_code=HTTPStatus.CREATED,
        responses=problems(404, 409, 503),
    )
    def resend(asking: Writer, request_id: str, response: Response) -> DeskView:
        record = desk.get(request_id)
        rights.require(
            asking.name,
            Operation.PICKUP_RESEND,
            Step.ENTRY,
            organisation=record.organisation_id,
            profile=record.profile,
        )
        response.headers["Cache-Control"] = "no-store"
        return DeskView.of(desk.resend(request_id, actor=asking.name))

    return router


def _wanted(body: PickupRequest) -> WantedKey:
    return WantedKey.model_validate(body.model_dump(include={"format", "sealed_password"}))


def _view(delivery: DeskDelivery) -> DeliveryView:
    outcome = delivery.outcome
    if outcome is None:
        return DeliveryView.waiting(delivery.record.id)
    return DeliveryView(
        request=outcome.request or delivery.record.id,
        state=RequestState.ISSUED,
        certificate=first_of(outcome.chain),
        chain=outcome.chain,
        encryption_certificate=first_of(outcome.encryption_chain),
        enveloped_key=outcome.enveloped_key,
        envelopes=outcome.envelopes,
        envelope=delivery.envelope,
        transport_key=outcome.transport_key,
    )
