"""Our cookies, and the CSRF token that is bound to them.

``__Host-`` means: set by this very host, over TLS, for every path. No other host of the domain
can plant one, which is what makes the double submit of `csrf_token` sound.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from core.errors import Forbidden

SESSION: Final = "__Host-yinxin"
BROWSER: Final = "__Host-yinxin-browser"
"""Names a browser before it logs in: login forms and challenges are bound to it."""


def set_cookie(response: Response, name: str, value: str, *, max_age: int | None = None) -> None:
    """Set a cookie that scripts cannot read and other sites cannot send with a POST."""
    response.set_cookie(
        name, value, path="/", secure=True, httponly=True, samesite="lax", max_age=max_age
    )


def clear_cookie(response: Response, name: str) -> None:
    """Make the browser forget a cookie."""
    response.delete_cookie(name, path="/", secure=True, httponly=True, samesite="lax")


def browser_of(request: Request) -> str:
    """Return the browser's cookie, or a fresh value that the answer has to set.

    The same value however often one request asks.
    """
    known = request.cookies.get(BROWSER, "")
    fresh = request.scope.setdefault("yinxin.browser", secrets.token_urlsafe(32))
    return known if len(known) == 43 else str(fresh)


class NoCookies(Forbidden):
    """The browser keeps no cookies of ours, or lost them."""


def csrf_token(browser: str) -> str:
    """Return what a form of this browser carries."""
    return hmac.new(browser.encode(), b"yinxin csrf", hashlib.sha256).hexdigest()


def require_csrf(request: Request, token: str) -> None:
    """Raises `Forbidden` unless a page of ours sends it, made for this browser."""
    if not _from_us(request):
        raise Forbidden("the form was sent by another site; load the page again")
    browser = request.cookies.get(BROWSER, "")
    if not browser:
        raise NoCookies("the browser sent no cookie; allow them for this site, load the page again")
    expected = csrf_token(browser).encode()
    if not hmac.compare_digest(expected, token.encode()):
        raise Forbidden("the form is too old or was not made by this site; load the page again")


def _from_us(request: Request) -> bool:
    """Tell whether the browser says that the page which sends this is ours, beside the token.

    Sec-Fetch-Site says it best (Fetch Metadata, 2.3); before it there was Origin (RFC 6454, 7),
    which is ``null`` from pages without a referrer, as ours are.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin", "null")
    return origin == "null" or urlsplit(origin).hostname == request.url.hostname


def address_of(request: Request) -> str:
    """Return where the request comes from, as the server was told by TCP or by a trusted proxy."""
    return "unknown" if request.client is None else request.client.host
