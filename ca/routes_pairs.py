"""HTTP for pairs: fetch both certificates and the enveloped key, ask for the key's recovery."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final, Literal

from fastapi import APIRouter, Response

from ca.delivery import PairDelivery
from ca.dual import PairService
from ca.operations import Operation
from ca.rights_store import Step
from ca.routes_access import Access
from ca.schemas_pairs import (
    KeyManagementIdentityView,
    PairView,
    PKCS12Request,
    UserRecoveryRequest,
)
from ca.serials import from_hex
from ca.wire import Reader, Writer, problems
from keystore.dialects import Dialect
from keystore.escrow.schemas import RecoveryView

_OCTETS: Final = "application/octet-stream"
_PKCS12: Final = "application/x-pkcs12"


def add_pair_routes(
    router: APIRouter, pairs: PairService, delivery: PairDelivery, access: Access
) -> None:
    """Add what is under ``/requests/{request_id}`` for pairs, and the centre's public keys."""
    _add_fetching(router, pairs, delivery, access)

    @router.get(
        "/pairs/key-management-identity",
        tags=["requests"],
        summary="Look at the public keys of the key management centre",
        description="The certificate that SignedAndEnvelopedData is signed with, to be pinned, and "
        "the key that a PKCS#12 file's password is sealed to.",
        responses=problems(503),
    )
    def identity(_: Reader) -> KeyManagementIdentityView:
        return KeyManagementIdentityView.of(pairs.identity())

    @router.post(
        "/requests/{request_id}/recovery",
        tags=["requests"],
        summary="Ask for the encryption key of a pair, for its holder",
        description="The key goes to a valid signing certificate of the same subject, after two "
        "officers of the key management centre have approved.",
        status_code=HTTPStatus.CREATED,
        responses=problems(404, 422, 503),
        dependencies=[access.act_on_request(Step.ENTRY, Operation.REISSUE)],
    )
    def request_recovery(
        asking: Writer, request_id: str, body: UserRecoveryRequest
    ) -> RecoveryView:
        recovery = pairs.request_recovery(
            request_id,
            issuer=body.issuer,
            serial=from_hex(body.serial),
            reason=body.reason,
            actor=asking.name,
        )
        return RecoveryView.of(recovery)


def _add_fetching(
    router: APIRouter, pairs: PairService, delivery: PairDelivery, access: Access
) -> None:
    @router.get(
        "/requests/{request_id}/pair",
        tags=["requests"],
        summary="Fetch a pair of certificates with the enveloped encryption key",
        description="In one of the formats that `envelopes` lists in the JSON: the profile "
        "decides which.",
        response_model=PairView,
        responses={200: {"content": {_OCTETS: {}}}, **problems(404, 409, 422, 503)},
        dependencies=[access.act_on_request(None, Operation.MAKE)],
    )
    def get_pair(
        asking: Writer,
        request_id: str,
        format: Dialect | Literal["json"] = "json",  # noqa: A002 - wire name
    ) -> PairView | Response:
        if format == "json":
            pair = pairs.get(request_id)
            return PairView.of(pair, delivery.dialects(pair))
        octets = delivery.fetch(request_id, Dialect(format), actor=asking.name)
        return Response(octets, media_type=_OCTETS)

    @router.post(
        "/requests/{request_id}/pair/pkcs12",
        tags=["requests"],
        summary="Fetch the encryption key of a pair in a PKCS#12 file, once",
        description="The password is sealed to the key management centre, so that the authority "
        "cannot open the file it carries.",
        response_class=Response,
        responses={200: {"content": {_PKCS12: {}}}, **problems(404, 409, 422, 503)},
        dependencies=[access.act_on_request(None, Operation.MAKE)],
    )
    def get_pkcs12(asking: Writer, request_id: str, body: PKCS12Request) -> Response:
        octets = delivery.fetch(
            request_id,
            Dialect.PKCS12,
            actor=asking.name,
            sealed_password=body.octets,
        )
        return Response(octets, media_type=_PKCS12)
