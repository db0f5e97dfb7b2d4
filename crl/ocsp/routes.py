"""OCSP over HTTP (RFC 6960, appendix A; caching as in RFC 9919, 5 and RFC 5019, 6)."""

from __future__ import annotations

import logging

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from core.clock import Clock
from core.errors import Malformed, TooLarge, TrustError
from core.observe import OCSP_ANSWERS
from crl.caching import Download, cached_response
from crl.config import OCSPConfig
from crl.ocsp.cache import Answer
from crl.ocsp.path import decode_path
from crl.ocsp.request import MAX_REQUEST_OCTETS
from crl.ocsp.responder import QUIET, Responder, refusal_of
from crl.ocsp.response import Refusal, encode_refusal
from crl.ocsp.wire import MEDIA_TYPE, RETRY_AFTER_SECONDS, max_age

log = logging.getLogger(__name__)

_NO_STORE = {"Cache-Control": "no-store"}


def make_ocsp_router(responder: Responder, *, config: OCSPConfig, clock: Clock) -> APIRouter:
    """Serve the answers of `responder` under ``/ocsp``."""
    router = APIRouter(tags=["ocsp"])

    def answer(request: Request, octets: bytes) -> Response:
        try:
            found = responder.answer(octets)
        except TrustError as error:
            return _refuse(error)
        except Exception:  # recorded; OCSP clients read OCSP and nothing else
            log.exception("unexpected error in the OCSP responder")
            OCSP_ANSWERS.labels(Refusal.INTERNAL_ERROR.name.lower()).inc()
            octets = encode_refusal(Refusal.INTERNAL_ERROR)
            return Response(octets, status_code=500, media_type=MEDIA_TYPE, headers=_NO_STORE)
        OCSP_ANSWERS.labels("successful").inc()
        return _accept(request, found, config, clock)

    @router.post("/ocsp", summary="Answer an OCSP request carried in the body")
    @router.post("/ocsp/", include_in_schema=False)
    async def post(request: Request) -> Response:
        # Any content type, and none: what counts is the body.
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_REQUEST_OCTETS:
                return _refuse(TooLarge("the request is too long"))
        return await run_in_threadpool(answer, request, bytes(body))

    @router.api_route(
        "/ocsp/{encoded:path}",
        methods=["GET", "HEAD"],
        summary="Answer an OCSP request carried in the path, as base64 of its DER",
    )
    def get(request: Request) -> Response:
        # The path as it came: decoding or tidying it first would destroy "+", "%2F" and "//".
        raw: bytes = request.scope["raw_path"]
        try:
            octets = decode_path(raw.partition(b"/ocsp/")[2])
        except (Malformed, TooLarge) as error:
            return _refuse(error)
        return answer(request, octets)

    return router


def _accept(request: Request, answer: Answer, config: OCSPConfig, clock: Clock) -> Response:
    if not answer.cacheable:
        return Response(answer.der, media_type=MEDIA_TYPE, headers=_NO_STORE)
    return cached_response(
        request,
        Download(answer.der),
        media_type=MEDIA_TYPE,
        last_modified=answer.this_update,
        expires=answer.next_update,
        max_age=max_age(answer, config, clock.now()),
    )


def _refuse(error: TrustError) -> Response:
    refusal = refusal_of(error)
    OCSP_ANSWERS.labels(refusal.name.lower()).inc()
    if refusal not in QUIET:
        log.error("OCSP refused", exc_info=error, extra={"refusal": refusal.name.lower()})
    headers = _NO_STORE | (
        {"Retry-After": str(RETRY_AFTER_SECONDS)} if refusal is Refusal.TRY_LATER else {}
    )
    # HTTP 200 even for a refusal (docs/decisions/0007): the OCSP status is in the body, and some
    # clients do not look at a body that comes with 4xx.
    return Response(encode_refusal(refusal), media_type=MEDIA_TYPE, headers=headers)
