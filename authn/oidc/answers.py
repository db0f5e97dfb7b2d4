"""Answers to programs: OAuth's errors as HTTP, and the headers that every answer carries."""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from typing_extensions import override

from authn.forms import form_fields
from authn.oidc.errors import InvalidRequest, OAuthError
from core.direct import DirectRoute, in_thread
from core.errors import Malformed, Unavailable

log = logging.getLogger(__name__)

NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}

_STATUS: Final = {
    "invalid_client": HTTPStatus.UNAUTHORIZED,
    "invalid_token": HTTPStatus.UNAUTHORIZED,
    "insufficient_scope": HTTPStatus.FORBIDDEN,
    "temporarily_unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
}


class TokenAnswer(JSONResponse):
    """A token response; the encoder is made once, and not for each."""

    _encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode

    @override
    def render(self, content: Any) -> bytes:
        return self._encode(content).encode()


class OAuthRoute(DirectRoute):
    """Answers errors as RFC 6749, 5.2 and RFC 6750, 3 say."""

    @override
    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]  # FastAPI says Coroutine
        return _translated(super().get_route_handler())


class FormRoute(OAuthRoute):
    """Reads the form and calls ``endpoint(request, fields)`` without more ado.

    In a thread, unless the endpoint is asynchronous. The documentation still comes from the
    endpoint's signature.
    """

    @override
    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]  # FastAPI says Coroutine
        asynchronous = inspect.iscoroutinefunction(self.endpoint)

        async def handler(request: Request) -> Response:
            fields = await form_fields(request)
            answer: Response
            if asynchronous:
                answer = await self.endpoint(request, fields)
            else:
                answer = await in_thread(self.endpoint, request, fields)
            return answer

        translated = _translated(handler)
        self.direct = translated
        return translated


def _translated(
    handler: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    async def translated(request: Request) -> Response:
        try:
            return await handler(request)
        except (OAuthError, Malformed, Unavailable) as error:
            return error_answer(error)

    return translated


def error_answer(error: OAuthError | Malformed | Unavailable) -> JSONResponse:
    """Return the answer that says `error` in OAuth's words."""
    if isinstance(error, OAuthError):
        return oauth_answer(error)
    if isinstance(error, Malformed):
        return oauth_answer(InvalidRequest(str(error)))
    # The word of the authorization endpoint (RFC 6749, 4.1.2.1); 5.2 has none for it.
    log.error("an OAuth request failed", exc_info=error)
    return oauth_answer(OAuthError("temporarily_unavailable", str(error)))


def oauth_answer(error: OAuthError) -> JSONResponse:
    """Return the answer that says `error` to a program."""
    headers: dict[str, str] = {**NO_STORE, **error.headers}
    if error.code == "invalid_client":
        headers.setdefault("WWW-Authenticate", 'Basic realm="yinxin"')
    if error.code in ("invalid_token", "insufficient_scope"):
        headers.setdefault("WWW-Authenticate", f'Bearer realm="yinxin", error="{error.code}"')
    if error.code == "temporarily_unavailable":
        headers["Retry-After"] = "5"
    body: Mapping[str, str] = {"error": error.code, "error_description": error.description}
    # Whoever is challenged is answered 401 (RFC 9110, 15.5.2), whatever the word is.
    other = HTTPStatus.UNAUTHORIZED if "WWW-Authenticate" in error.headers else None
    status = _STATUS.get(error.code, other or HTTPStatus.BAD_REQUEST)
    return JSONResponse(body, status_code=status, headers=headers)
