"""The HTTP edge that every router shares: problem+json, body limit, request id, principal."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from core.errors import (
    Conflict,
    Forbidden,
    InvalidSignature,
    Malformed,
    NotFound,
    Refused,
    Throttled,
    TooLarge,
    TrustError,
    Unauthenticated,
    Unavailable,
)
from core.identity import Principal, Role
from core.plain import PlainRoutes

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PROBLEM_JSON = "application/problem+json"
CLIENT_CERTIFICATE = "yinxin.client_certificate"
"""In the scope: DER of the certificate with which TLS authenticated the client; only the server
sets it."""

_FORMS: Mapping[str, str] = MappingProxyType(
    {
        "^[0-9a-f]{32}$": "should be an id: 32 hexadecimal digits, lowercase",
        "^[0-9a-f]{64}$": "should be a SHA-256: 64 hexadecimal digits, lowercase",
    }
)
"""What patterns mean that people meet."""

_STATUS: tuple[tuple[type[TrustError], HTTPStatus], ...] = (
    (Malformed, HTTPStatus.BAD_REQUEST),
    (Unauthenticated, HTTPStatus.UNAUTHORIZED),
    (Forbidden, HTTPStatus.FORBIDDEN),
    (NotFound, HTTPStatus.NOT_FOUND),
    (Conflict, HTTPStatus.CONFLICT),
    (TooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (Refused, HTTPStatus.UNPROCESSABLE_ENTITY),
    (InvalidSignature, HTTPStatus.UNPROCESSABLE_ENTITY),
    (Throttled, HTTPStatus.TOO_MANY_REQUESTS),
    (Unavailable, HTTPStatus.SERVICE_UNAVAILABLE),
)


def status_of(error: TrustError) -> HTTPStatus:
    """Return the HTTP status that says `error` (RFC 9110, 15)."""
    return next(
        (status for kind, status in _STATUS if isinstance(error, kind)),
        HTTPStatus.INTERNAL_SERVER_ERROR,
    )


def problem(status: HTTPStatus, detail: str, *, kind: str, request_id: str | None) -> JSONResponse:
    """Make a problem+json answer (RFC 9457). `kind` is a stable word for programs."""
    body = {"type": f"urn:yinxin:problem:{kind}", "title": status.phrase, "status": int(status)}
    body["detail"] = detail
    if request_id is not None:
        body["request_id"] = request_id
    return JSONResponse(
        body, status_code=status, media_type=PROBLEM_JSON, headers={"Cache-Control": "no-store"}
    )


def install_problem_handlers(app: FastAPI) -> None:
    """Translate every error of `app` into problem+json, once, here.

    They are asynchronous though they wait for nothing: others would be sent to a thread.
    """

    @app.exception_handler(TrustError)
    async def trust_error(request: Request, error: TrustError) -> JSONResponse:
        return problem_of(error, request_id_of(request))

    @app.exception_handler(RequestValidationError)
    async def validation_error(request: Request, error: RequestValidationError) -> JSONResponse:
        # Say where and what, and never echo the input: it may hold a secret.
        parts = [
            f"{'.'.join(str(step) for step in item['loc'])}: {_said(item)}"
            for item in error.errors()[:5]
        ]
        return problem(
            HTTPStatus.BAD_REQUEST,
            "; ".join(parts),
            kind="malformed",
            request_id=request_id_of(request),
        )

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> JSONResponse:
        status = HTTPStatus(error.status_code)
        answer = problem(
            status,
            str(error.detail),
            kind=_kind(status.phrase.replace(" ", "")),
            request_id=request_id_of(request),
        )
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        return problem_of(error, request_id_of(request))


def problem_of(error: Exception, request_id: str | None) -> JSONResponse:
    """Say an error of ours, or that there was one, in problem+json."""
    if not isinstance(error, TrustError):
        log.error("unexpected error", exc_info=error)
        return problem(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "internal error; the log holds the reason under this request id",
            kind="internal",
            request_id=request_id,
        )
    status = status_of(error)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("request failed", exc_info=error)
    detail = str(error) if status != HTTPStatus.INTERNAL_SERVER_ERROR else "internal error"
    answer = problem(status, detail, kind=_kind(type(error).__name__), request_id=request_id)
    if isinstance(error, Throttled):
        answer.headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, Unavailable):
        answer.headers["Retry-After"] = "5"
    if isinstance(error, Unauthenticated):
        answer.headers["WWW-Authenticate"] = 'Bearer realm="yinxin"'
    return answer


def _said(item: Mapping[str, Any]) -> str:
    """Return what is wrong with a value, for people where the pattern would be said."""
    pattern = str(item.get("ctx", {}).get("pattern", ""))
    return _FORMS.get(pattern) or str(item["msg"])


def _kind(name: str) -> str:
    return "".join(f"-{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))


def new_request_id() -> str:
    """Draw an id by which a request is found in the log."""
    return secrets.token_hex(8)


def request_id_of(request: Request) -> str | None:
    """Return the id that the log and the answer share."""
    value = request.scope.get("yinxin.request_id")
    return value if isinstance(value, str) else None


class RequestId:
    """Gives every request a random id and sends it back as ``X-Request-Id``.

    `plain`: what the connection may answer without coming here (`core.plain`).
    """

    def __init__(self, app: App, plain: PlainRoutes | None = None) -> None:
        self._app = app
        self.plain = plain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = new_request_id()
        scope["yinxin.request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message.setdefault("headers", []).append((b"x-request-id", request_id.encode()))
            await send(message)

        await self._app(scope, receive, send_with_id)


class BodyLimit:
    """Reads the whole body before anything else happens: at most `octets`, within `seconds`.

    The octets are counted as they arrive and not only as announced. Paths in `larger` take more,
    from callers who are known: for that, who asks has to be found out before.
    """

    def __init__(
        self,
        app: App,
        *,
        octets: int,
        seconds: float = 30,
        larger: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self._app = app
        self._octets = octets
        self._larger = larger
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._seconds):
                body = await self._read(dict(scope["headers"]), receive, self._limit(scope))
        except TimeoutError:
            detail = f"the request body did not arrive within {self._seconds:g} seconds"
            refuse = _refuse(HTTPStatus.REQUEST_TIMEOUT, detail, "too-slow", closes=True)
            await refuse(scope, receive, send)
            return
        except Malformed as error:
            refuse = _refuse(HTTPStatus.BAD_REQUEST, str(error), "malformed", closes=True)
            await refuse(scope, receive, send)
            return
        except TooLarge as error:
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            # Not closed at once: a caller who still sends would see a reset and not the reason.
            await _refuse(status, str(error), "too-large", closes=False)(scope, receive, send)
            return
        if body is None:
            return
        replayed = False

        async def replay() -> Message:
            nonlocal replayed
            if replayed:
                return await receive()
            replayed = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)

    def _limit(self, scope: Scope) -> int:
        known = isinstance(scope.get("yinxin.principal"), Principal)
        return self._larger.get(str(scope["path"]), self._octets) if known else self._octets

    async def _read(
        self, headers: Mapping[bytes, bytes], receive: Receive, limit: int
    ) -> bytes | None:
        """Return the body; None if the caller left. Raises `Malformed`, `TooLarge`."""
        announced = headers.get(b"content-length")
        if announced is not None and b"transfer-encoding" in headers:
            # RFC 9112, 6.1: two lengths are how requests are smuggled past a proxy.
            raise Malformed("the request has both Content-Length and Transfer-Encoding")
        too_large = TooLarge(f"the request body is longer than {limit} octets")
        if announced is not None and (
            not announced.isdigit() or len(announced) > 18 or int(announced) > limit
        ):
            raise too_large
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > limit:
                raise too_large
        return bytes(body)


def _refuse(status: HTTPStatus, detail: str, kind: str, *, closes: bool) -> App:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        request_id = scope.get("yinxin.request_id")
        known = request_id if isinstance(request_id, str) else None
        response = problem(status, detail, kind=kind, request_id=known)
        if closes:
            # What follows on this connection is the rest of a body that nobody reads.
            response.headers["Connection"] = "close"
        await response(scope, receive, send)

    return answer


def principal(request: Request) -> Principal:
    """Return who is asking (set by `authn.middleware`). Raises `Unauthenticated`."""
    found = request.scope.get("yinxin.principal")
    if not isinstance(found, Principal):
        raise Unauthenticated(
            "authenticate with an administrator's token (Authorization: Bearer) "
            "or with a client certificate"
        )
    return found


def answer(
    view: BaseModel, status: HTTPStatus, *, headers: Mapping[str, str] = MappingProxyType({})
) -> Response:
    """Make an answer of a wire model, which has checked itself: nothing checks it again."""
    return Response(view.model_dump_json(), status, headers=headers, media_type="application/json")


def client_certificate(request: Request) -> bytes | None:
    """Return the certificate with which TLS authenticated the client, DER, if it did."""
    found = request.scope.get(CLIENT_CERTIFICATE)
    return found if isinstance(found, bytes) else None


def require_role(*roles: Role) -> Callable[[Request], Awaitable[Principal]]:
    """Make a dependency that lets only these roles in. Raises `Forbidden` for others."""

    # Asynchronous though it waits for nothing: another kind would be sent to a thread each time.
    async def dependency(request: Request) -> Principal:
        asking = principal(request)
        if asking.role not in roles:
            wanted = " or ".join(roles)
            raise Forbidden(f"this needs the role {wanted}; {asking.name} has {asking.role}")
        return asking

    return dependency
