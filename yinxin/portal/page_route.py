"""Errors of pages become pages, once, here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from urllib.parse import urlencode

from fastapi import Request, Response
from fastapi.routing import APIRoute
from typing_extensions import override

from authn.oidc.errors import OAuthError
from core.errors import Forbidden, Malformed, Throttled, TrustError, Unauthenticated, Unavailable
from core.http import status_of
from yinxin.portal.pages import PortalPages
from yinxin.portal.visit import LoginTooOld, go

_WORD_OF_ERROR: tuple[tuple[type[TrustError], str], ...] = (
    (Throttled, "throttled"),
    (Forbidden, "stale_form"),
    (Unauthenticated, "login_first"),
    (Unavailable, "busy"),
)


def make_page_route(pages: PortalPages) -> type[APIRoute]:
    """Return a route that answers errors with a page of `pages`."""

    class PageRoute(APIRoute):
        """Answers errors with a page."""

        @override
        def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]  # FastAPI says Coroutine
            handler = super().get_route_handler()

            async def translated(request: Request) -> Response:
                try:
                    return await handler(request)
                except LoginTooOld as error:
                    query = urlencode({"why": "confirm_first", "next": error.back})
                    return go(f"/login?{query}")
                except OAuthError as error:
                    return pages.oauth_error(request, error)
                except TrustError as error:
                    return _error_page(request, pages, error)

            return translated

    return PageRoute


def _error_page(request: Request, pages: PortalPages, error: TrustError) -> Response:
    word = next((word for kind, word in _WORD_OF_ERROR if isinstance(error, kind)), "error")
    status = status_of(error)
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        raise error
    detail = str(error) if isinstance(error, Malformed) else None
    response = pages.message(request, word, status=status, detail=detail)
    if isinstance(error, Throttled):
        response.headers["Retry-After"] = str(error.retry_after)
    return response
