"""Forward authentication over HTTP (docs/connect/nginx.md).

``/gate/authorize`` is opened on our own host. The rest of ``/gate`` is called by the proxy of an
application, which says in ``X-Forwarded-Host`` which host it serves.
"""

from __future__ import annotations

import secrets
from http import HTTPStatus
from typing import Final
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute

from authn import cookies, opaque
from authn.legacy.entry import Entry
from authn.legacy.gate import PREFIX, Gate, state_of
from authn.sessions import Sessions
from core.errors import Forbidden, NotFound

COOKIE: Final = "__Host-yinxin-pass"
_STATE: Final = "__Host-yinxin-gate"
_NO_STORE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
_MOST_CHARACTERS: Final = 4000


def make_gate_router(
    gate: Gate, entry: Entry, sessions: Sessions, *, issuer: str, page_route: type[APIRoute]
) -> APIRouter:
    """Serve /gate."""
    router = APIRouter(prefix="/gate", tags=["gate"], route_class=page_route)

    _add_check(router, gate)

    @router.get("/start")
    def start(request: Request) -> Response:
        """Send a browser without a pass to log in, and remember which browser it is."""
        origin, path = _origin(request), _path(request.query_params.get("to", "/"))
        entry.client_of(origin)
        secret = secrets.token_urlsafe(32)
        asked = {"origin": origin, "to": path, "state": state_of(secret, path)}
        response = _see_other(f"{issuer}/gate/authorize?{urlencode(asked)}")
        cookies.set_cookie(response, _STATE, secret, max_age=900)
        return response

    @router.get("/authorize")
    def authorize(request: Request) -> Response:
        """Log in on our own host, and go back with a ticket."""
        asked = request.query_params
        origin, path = asked.get("origin", ""), _path(asked.get("to", "/"))
        client = entry.client_of(origin)
        found = sessions.find(request.cookies.get(cookies.SESSION))
        missing = entry.missing(client, found)
        state = asked.get("state", "")[:64]
        if missing is not None or found is None:
            here = urlencode({"origin": origin, "to": path, "state": state})
            page = "/login" if missing is None else missing.page
            parameters = {} if missing is None else missing.parameters
            following = {**parameters, "next": f"/gate/authorize?{here}"}
            return _see_other(f"{page}?{urlencode(following)}")
        ticket = entry.give(client, origin, *found, prefix=PREFIX)
        back = urlencode({"ticket": ticket, "to": path, "state": state})
        return _see_other(f"{origin}/.yinxin/callback?{back}")

    @router.get("/callback")
    def callback(request: Request) -> Response:
        """Change a ticket into a pass, in the browser that set out."""
        asked = request.query_params
        path, secret = _path(asked.get("to", "/")), request.cookies.get(_STATE, "")
        if not secret or not opaque.equal(state_of(secret, path), asked.get("state", "")):
            raise Forbidden("this way back belongs to another browser; open the application again")
        cookie = gate.enter(asked.get("ticket", ""), _origin(request))
        if cookie is None:
            raise Forbidden("the ticket has expired or was used; open the application again")
        response = _see_other(path)
        cookies.set_cookie(response, COOKIE, cookie)
        cookies.clear_cookie(response, _STATE)
        return response

    return router


def _add_check(router: APIRouter, gate: Gate) -> None:
    @router.get("/check")
    def check(request: Request) -> Response:
        """Answer 200 with who it is, or 401 (nginx: `auth_request`)."""
        try:
            user = gate.who(request.cookies.get(COOKIE), _origin(request))
        except NotFound:
            user = None
        if user is None:
            return Response(status_code=HTTPStatus.UNAUTHORIZED, headers=_NO_STORE)
        told = {"Remote-User": user.name, "Remote-Sub": user.id, "Remote-Name": user.display_name}
        if user.email is not None:
            told["Remote-Email"] = user.email
        # Headers are ASCII: names are percent-encoded UTF-8.
        said = {name: quote(value, safe="@.-_") for name, value in told.items()}
        return Response(status_code=HTTPStatus.OK, headers=_NO_STORE | said)


def _origin(request: Request) -> str:
    # The proxy of an application says it. Who lies here learns nothing: a ticket and a pass are
    # good at one origin, and both are secrets of the browser.
    return f"https://{request.headers.get('x-forwarded-host', '')[:300]}"


def _path(text: str) -> str:
    r"""Return a path on the application's host, else ``/``: ``//host`` is another site."""
    plain = text.isascii() and text.isprintable() and len(text) <= _MOST_CHARACTERS
    good = plain and text.startswith("/") and not text.startswith(("//", "/\\"))
    return text if good and "\\" not in text else "/"


def _see_other(address: str) -> RedirectResponse:
    return RedirectResponse(address, HTTPStatus.SEE_OTHER, headers=_NO_STORE)
