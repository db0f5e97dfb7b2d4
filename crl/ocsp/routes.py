"""OCSP over HTTP (RFC 6960, appendix A) for the requests that `crl.ocsp.head` does not take."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response
from starlette.datastructures import MutableHeaders

from crl.ocsp.head import Head
from crl.ocsp.plane import OCSPPlane
from crl.ocsp.request import MAX_REQUEST_OCTETS
from crl.ocsp.waiting import Pending


def make_ocsp_router(plane: OCSPPlane) -> APIRouter:
    """Serve the answers of `plane` under ``/ocsp``, in the event loop of the plane."""
    router = APIRouter(tags=["ocsp"])

    async def answer(request: Request, encoded: bytes | None, body: bytes) -> Response:
        head = Head(
            encoded=encoded,
            body_octets=len(body),
            send_body=request.method != "HEAD",
            close=False,
            if_none_match=request.headers.get("if-none-match", ""),
        )
        # Where workers have the port, nobody looks every second for this process.
        plane.look()
        response = plane.respond(head, body)
        if isinstance(response, Pending):
            response = await _made(plane, response)
        plane.publish()
        return _as_response(response)

    @router.post("/ocsp", summary="Answer an OCSP request carried in the body")
    @router.post("/ocsp/", include_in_schema=False)
    async def post(request: Request) -> Response:
        # Any content type, and none: what counts is the body.
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_REQUEST_OCTETS:
                break  # it is too long already, and the plane says so
        return await answer(request, None, bytes(body))

    @router.api_route(
        "/ocsp/{encoded:path}",
        methods=["GET", "HEAD"],
        summary="Answer an OCSP request carried in the path, as base64 of its DER",
    )
    async def get(request: Request) -> Response:
        # The path as it came: decoding or tidying it first would destroy "+", "%2F" and "//".
        raw: bytes = request.scope["raw_path"]
        return await answer(request, raw.partition(b"/ocsp/")[2], b"")

    return router


async def _made(plane: OCSPPlane, pending: Pending) -> bytes:
    future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def send(response: bytes) -> None:
        if not future.done():  # who asked may have left
            future.set_result(response)

    return plane.respond_later(pending, send) or await future


def _as_response(octets: bytes) -> Response:
    """Take apart the HTTP response of the plane: it is sent by the general server."""
    head, _, body = octets.partition(b"\r\n\r\n")
    status_line, *lines = head.split(b"\r\n")
    response = Response(body, status_code=int(status_line.split(b" ")[1]))
    pairs = [tuple(line.split(b": ", 1)) for line in lines if not line.startswith(b"date:")]
    response.raw_headers = MutableHeaders(raw=pairs).raw  # type: ignore[arg-type]  # pairs they are
    return response
