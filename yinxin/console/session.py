"""Who is signed in, on the way into the console.

The principal of a browser session exists below the console's prefix only: the API takes no
cookies. Every form of the console carries a token bound to the browser (`authn.cookies`).
"""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from authn import cookies
from authn.middleware import PRINCIPAL
from authn.sessions import Sessions
from authn.store import Session, User
from core.errors import Forbidden, Unauthenticated
from core.http import App, Receive, Scope, Send
from core.identity import Principal, Role

PREFIX: Final = "/console"
_SESSION: Final = "yinxin.session"


class NotAnAdministrator(Forbidden):
    """Signed in, and without any administrative role: nothing here is for them."""


class ConsoleSession:
    """Finds the browser's session for requests below the console's prefix; refuses nobody."""

    def __init__(self, app: App, sessions: Sessions) -> None:
        self._app = app
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _below(str(scope["path"])):
            cookie = Request(scope).cookies.get(cookies.SESSION)
            found = await run_in_threadpool(self._sessions.find, cookie)
            scope.pop(PRINCIPAL, None)
            scope[_SESSION] = found
            if found is not None and found[1].role is not None:
                user = found[1]
                scope[PRINCIPAL] = Principal(user.name, user.role, "session")
        await self._app(scope, receive, send)


def _below(path: str) -> bool:
    return path == PREFIX or path.startswith(f"{PREFIX}/")


def signed_in(request: Request) -> Principal:
    """Return the administrator who is signed in (a FastAPI dependency).

    Raises `Unauthenticated` for nobody, `NotAnAdministrator` for who administers nothing.
    """
    found = request.scope.get(_SESSION)
    if found is None:
        raise Unauthenticated("sign in first")
    principal = request.scope.get(PRINCIPAL)
    if not isinstance(principal, Principal):
        raise NotAnAdministrator("you have no administrative role")
    return principal


def person(request: Request) -> User | None:
    """Return whose session it is."""
    found: tuple[Session, User] | None = request.scope.get(_SESSION)
    return None if found is None else found[1]


def session_of(request: Request) -> Session:
    """Return the session of who is signed in. Raises `Unauthenticated`."""
    found: tuple[Session, User] | None = request.scope.get(_SESSION)
    if found is None:
        raise Unauthenticated("sign in first")
    return found[0]


def require(asking: Principal, *roles: Role) -> None:
    """Let nobody open a form who may not send it. Raises `Forbidden`."""
    if asking.role not in roles:
        raise Forbidden(f"this is for: {', '.join(roles)}")


Asking = Annotated[Principal, Depends(signed_in)]
