"""Who is at the browser: a person with a session, before and after a login."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import Depends, Request, Response
from fastapi.responses import RedirectResponse

from authn import cookies
from authn.assembly import Provider
from authn.forms import Fields, form_fields
from authn.levels import Method
from authn.store import Session, User
from core.errors import Unauthenticated
from yinxin.portal.pages import YEAR

Form = Annotated[Fields, Depends(form_fields)]

WAY: Final = "__Host-yinxin-way"
"""The cookie that remembers by what somebody signed in at this browser; it says nothing of whom."""
WAYS: Final = ("certificate", "passkey")
"""The ways that have a page of their own, beside the password's."""

DONE: Final = frozenset(
    {
        "switched",
        "withdrawn",
        "ended",
        "unbound",
        "enrolled",
        "renamed",
        "removed",
        "tied",
        "untied",
    }
)
"""What a page says was done, in words of its own."""

_NOT_SHOWN: Final = frozenset({"mfa", "user"})
"""Words of RFC 8176 that say how, where the others say by what."""


class NotSignedIn(Unauthenticated):
    """A page of one's own wants a session; opened by its address, it leads to the login first."""

    def __init__(self) -> None:
        super().__init__("sign in first")


def signed_in(request: Request, provider: Provider) -> tuple[Session, User]:
    """Return the session and its person. Raises `NotSignedIn`."""
    found = provider.administration.sessions.find(request.cookies.get(cookies.SESSION))
    if found is None:
        raise NotSignedIn
    return found


class LoginTooOld(Unauthenticated):
    """What is asked for wants a login of a moment ago; `back` is where to come back to."""

    def __init__(self, back: str) -> None:
        super().__init__("sign in again: this changes how you sign in")
        self.back = back


def fresh(
    request: Request, provider: Provider, *, within: timedelta, back: str
) -> tuple[Session, User]:
    """Return the session and its person, who logged in a moment ago. Raises `LoginTooOld`."""
    found = signed_in(request, provider)
    if provider.clock.now() > found[0].auth_time + within:
        raise LoginTooOld(back)
    return found


def begun(request: Request, provider: Provider) -> tuple[Session, User] | None:
    """Return the session, also one whose second factor is missing."""
    return provider.administration.sessions.find_begun(request.cookies.get(cookies.SESSION))


def enter(
    request: Request, provider: Provider, user: User, method: Method, next_path: str
) -> Response:
    """Begin or strengthen the session of a person who authenticated, and go on."""
    return remember(go(next_path), request, provider, user, method)


def remember(
    response: Response, request: Request, provider: Provider, user: User, method: Method
) -> Response:
    """Begin or strengthen the session of a person who authenticated, with this answer."""
    cookie = provider.administration.sessions.enter(
        user, method, cookie=request.cookies.get(cookies.SESSION)
    )
    cookies.set_cookie(response, cookies.SESSION, cookie)
    if method.alone:
        cookies.set_cookie(response, WAY, method.name, max_age=YEAR)
    return response


def last_way(request: Request) -> str | None:
    """Return the page of the way in by which this browser's person came last, if it has one."""
    way = request.cookies.get(WAY)
    return way if way in WAYS else None


def go(path: str) -> Response:
    """Send the browser to a path of ours, which no cache keeps."""
    return RedirectResponse(
        path,
        HTTPStatus.SEE_OTHER,
        headers={"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"},
    )


def shown_methods(session: Session) -> list[str]:
    """Return by what the person logged in, for a page to name."""
    return [word for word in session.amr.split() if word not in _NOT_SHOWN]


def what_was_done(request: Request) -> str | None:
    """Return the word of what was done a moment ago."""
    word = request.query_params.get("done")
    return word if word in DONE else None
