"""Errors of pages become pages, once, here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from urllib.parse import urlencode

from fastapi import Request, Response
from fastapi.routing import APIRoute
from typing_extensions import override

from authn import cookies
from authn.legacy.entry import EntryLost, UnknownApplication
from authn.oidc.errors import OAuthError
from core.errors import (
    Conflict,
    Forbidden,
    Malformed,
    Refused,
    Throttled,
    TrustError,
    Unauthenticated,
    Unavailable,
)
from core.http import status_of
from yinxin.portal.next_path import own_path
from yinxin.portal.pages import PortalPages
from yinxin.portal.visit import LoginTooOld, NotSignedIn, go
from yinxin.portal.way_back import way_back

_WORD_OF_ERROR: tuple[tuple[type[TrustError], str], ...] = (
    (UnknownApplication, "unknown_application"),
    (EntryLost, "entry_lost"),
    (Throttled, "throttled"),
    (cookies.NoCookies, "no_cookies"),
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
                except NotSignedIn as error:
                    if request.method != "GET":
                        return await _error_page(request, pages, error)
                    asked = f"{request.url.path}?{request.url.query}".rstrip("?")
                    return go(f"/login?{urlencode({'next': own_path(asked)})}")
                except OAuthError as error:
                    return pages.oauth_error(request, error)
                except TrustError as error:
                    return await _error_page(request, pages, error)

            return translated

    return PageRoute


async def _error_page(request: Request, pages: PortalPages, error: TrustError) -> Response:
    word = next((word for kind, word in _WORD_OF_ERROR if isinstance(error, kind)), "error")
    status = status_of(error)
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        raise error
    detail = str(error) if isinstance(error, Malformed | Refused | Conflict) else None
    wait = error.retry_after if isinstance(error, Throttled) else None
    onward = await _onward(request, error)
    response = pages.message(request, word, status=status, detail=detail, wait=wait, **onward)
    if wait is not None:
        response.headers["Retry-After"] = str(wait)
    return response


async def _onward(request: Request, error: TrustError) -> dict[str, str]:
    """Return where a person goes on who did nothing wrong, and the word for it."""
    if isinstance(error, EntryLost):
        return {"then": error.again, "leads": "go_on"}
    if request.method == "POST" and isinstance(error, Forbidden | Throttled | Unauthenticated):
        leads = "login" if isinstance(error, Unauthenticated) else "load_again"
        return {"then": await way_back(request), "leads": leads}
    return {}
