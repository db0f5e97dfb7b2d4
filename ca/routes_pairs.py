"""HTTP for pairs: fetch both certificates and the enveloped key, ask for the key's recovery."""

from __future__ import annotations

from enum import StrEnum
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Response

from ca.dual import Pair, PairService
from ca.operations import Operation
from ca.rights_store import Step
from ca.routes_access import Access
from ca.schemas_pairs import PairView, UserRecoveryRequest
from ca.serials import from_hex
from ca.wire import Writer, problems
from core.errors import NotFound
from keystore.envelope import decode_enveloped_key
from keystore.envelope_forms import CSRResponse, encode_csr_response, encode_skf_blob
from keystore.escrow.schemas import RecoveryView


class PairFormat(StrEnum):
    """How to send what a dual request gave."""

    JSON = "json"
    CSR_RESPONSE = "csrresponse"
    """GM/T 0092: both certificates and the envelope."""
    ENVELOPED_KEY = "enveloped-key"
    """GB/T 35276: SM2EnvelopedKey."""
    SKF = "skf"
    """GM/T 0016: ENVELOPEDKEYBLOB, for SKF_ImportECCKeyPair."""


_OCTETS: Final = "application/octet-stream"


def add_pair_routes(router: APIRouter, pairs: PairService, access: Access) -> None:
    """Add ``/requests/{request_id}/pair`` and ``/requests/{request_id}/recovery``."""

    @router.get(
        "/requests/{request_id}/pair",
        tags=["requests"],
        summary="Fetch a pair of certificates with the enveloped encryption key",
        response_model=PairView,
        responses={200: {"content": {_OCTETS: {}}}, **problems(404)},
        dependencies=[access.act_on_request(None, Operation.MAKE)],
    )
    def get_pair(
        _: Writer,
        request_id: str,
        format: PairFormat = PairFormat.JSON,  # noqa: A002 - wire name
    ) -> PairView | Response:
        pair = pairs.get(request_id)
        if format is PairFormat.JSON:
            return PairView.of(pair)
        return Response(_octets(pair, format), media_type=_OCTETS)

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


def _octets(pair: Pair, form: PairFormat) -> bytes:
    if form is PairFormat.ENVELOPED_KEY:
        return pair.enveloped
    enveloped = decode_enveloped_key(pair.enveloped)
    if form is PairFormat.SKF:
        return encode_skf_blob(enveloped)
    signing, encryption = pair.signing.der, pair.encryption.der
    if signing is None or encryption is None:
        raise NotFound("the pair is not issued")
    return encode_csr_response(CSRResponse(signing, encryption, enveloped))
