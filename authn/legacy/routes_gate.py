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
from authn.legacy.entry import Entry, EntryLost, UnknownApplication
from authn.legacy.gate import PREFIX, Gate, state_of
from authn.sessions import Sessions

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
        origin, path = _origin(request), _wanted(request)
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
        asked, origin = request.query_params, _origin(request)
        path, secret = _path(asked.get("to", "/")), request.cookies.get(_STATE, "")
        mine = secret and opaque.equal(state_of(secret, path), asked.get("state", ""))
        cookie = gate.enter(asked.get("ticket", ""), origin) if mine else None
        if cookie is None:
            # Pages are on our own host, with their styles. Setting out again from here would go
            # round for ever in a browser without cookies.
            return _see_other(f"{issuer}/gate/again?{urlencode({'origin': origin, 'to': path})}")
        response = _see_other(path)
        cookies.set_cookie(response, COOKIE, cookie)
        cookies.clear_cookie(response, _STATE)
        return response

    _add_ends(router, entry, issuer)
    return router


def _add_ends(router: APIRouter, entry: Entry, issuer: str) -> None:
    """Add where a browser comes that did not get in, and that wants to leave."""

    @router.get("/again")
    def again(request: Request) -> Response:
        """Say, on our own host, that the way back to the application did not lead in."""
        origin = request.query_params.get("origin", "")
        entry.client_of(origin)
        raise EntryLost(f"{origin}{_path(request.query_params.get('to', '/'))}")

    @router.get("/logout")
    def log_out(request: Request) -> Response:
        """Send a browser to our own host to sign out everywhere; there it is asked first.

        It comes back to the application if that address is registered (RP-Initiated Logout 1.0).
        """
        origin = _origin(request)
        try:
            client = entry.client_of(origin)
        except UnknownApplication:
            return _see_other(f"{issuer}/oidc/logout")
        asked = {"client_id": client.id}
        back = [one for one in client.post_logout_redirect_uris if one.startswith(f"{origin}/")]
        if back:
            asked["post_logout_redirect_uri"] = back[0]
        return _see_other(f"{issuer}/oidc/logout?{urlencode(asked)}")


def _add_check(router: APIRouter, gate: Gate) -> None:
    @router.get("/check")
    def check(request: Request) -> Response:
        """Answer 200 with who it is, or 401 (nginx: `auth_request`)."""
        try:
            user = gate.who(request.cookies.get(COOKIE), _origin(request))
        except UnknownApplication:
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


def _wanted(request: Request) -> str:
    """Return the path that the browser asked the proxy for.

    nginx has no way to escape ``$request_uri``, so ``to=`` is followed by it as it was sent: its
    own ``&`` and ``%`` are the application's. Other proxies escape, and send ``to=%2F…``.
    """
    raw = request.url.query
    if raw.startswith("to=/"):
        return _path(raw.removeprefix("to="))
    return _path(request.query_params.get("to", "/"))


def _path(text: str) -> str:
    r"""Return a path on the application's host, else ``/``: ``//host`` is another site."""
    plain = text.isascii() and text.isprintable() and len(text) <= _MOST_CHARACTERS
    good = plain and text.startswith("/") and not text.startswith(("//", "/\\"))
    return text if good and "\\" not in text else "/"


def _see_other(address: str) -> RedirectResponse:
    return RedirectResponse(address, HTTPStatus.SEE_OTHER, headers=_NO_STORE)
