"""The OpenID provider over HTTP. Errors become OAuth's words here, once."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Final
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from fastapi.routing import APIRoute
from typing_extensions import override

from authn import cookies
from authn.forms import Fields, form_fields, query_fields
from authn.oidc import flow
from authn.oidc.answers import NO_STORE
from authn.oidc.authorize import CONTINUE, PATH, REFUSE, AuthorizationEndpoint, Interact, SendBack
from authn.oidc.clientmetadata import GrantType
from authn.oidc.discovery import metadata
from authn.oidc.errors import InvalidRequest, OAuthError
from authn.oidc.issuers import Issuer, Issuers
from authn.oidc.logout import LogoutEndpoint
from authn.oidc.pages import Pages
from authn.sessions import Sessions
from core.direct import DirectRoute, in_thread
from core.errors import Forbidden, Malformed
from core.http import problem_of
from core.plain import Give, Plain, PlainRequest
from core.steps import Carrier, Steps, apart

_MOST_OF_ADDRESS: Final = 12_000
"""The server reads 16 KiB of headers, and a browser has cookies to put there."""

_PUBLIC = {"Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*"}

QueryFields = Annotated[Fields, Depends(query_fields)]
FormFields = Annotated[Fields, Depends(form_fields)]


Handler = Callable[[Request], Awaitable[Response]]


def _page_route(pages: Pages) -> type[APIRoute]:
    class PageRoute(APIRoute):
        """Tells a person, and not a program, what is wrong with the request they came with."""

        @override
        def get_route_handler(self) -> Handler:  # type: ignore[override]  # FastAPI says Coroutine
            return _translated(super().get_route_handler(), pages)

    return PageRoute


def _query_route(pages: Pages, plain: Plain | None = None) -> type[APIRoute]:
    class QueryRoute(DirectRoute):
        """Reads the query and calls ``endpoint(request, fields)`` without more ado.

        In a thread, unless the endpoint is asynchronous. Otherwise a page route; the documentation
        comes from the endpoint's signature.
        """

        @override
        def get_route_handler(self) -> Handler:  # type: ignore[override]  # FastAPI says Coroutine
            asynchronous = inspect.iscoroutinefunction(self.endpoint)

            async def handler(request: Request) -> Response:
                fields = query_fields(request)
                answer: Response
                if asynchronous:
                    answer = await self.endpoint(request, fields)
                else:
                    answer = await in_thread(self.endpoint, request, fields)
                return answer

            self.direct = translated = _translated(handler, pages)
            self.plain = plain
            return translated

    return QueryRoute


def _translated(handler: Handler, pages: Pages) -> Handler:
    async def translated(request: Request) -> Response:
        try:
            return await handler(request)
        except (OAuthError, Malformed) as error:
            return await in_thread(_shown, request, error, pages)

    return translated


def _showing(request: Request, steps: Steps[Response], pages: Pages) -> Steps[Response]:
    """Translate errors as the route does, in steps."""
    try:
        return (yield from steps)
    except (OAuthError, Malformed) as error:
        return (yield from apart(partial(_shown, request, error, pages)))


def _shown(request: Request, error: OAuthError | Malformed, pages: Pages) -> Response:
    shown = error if isinstance(error, OAuthError) else InvalidRequest(str(error))
    return pages.oauth_error(request, shown)


def make_document_router(
    issuers: Issuers, grant_types: Sequence[GrantType], *, mutual_tls: str | None = None
) -> APIRouter:
    """Serve what clients read without asking: discovery and keys, of each issuer."""
    router = APIRouter(tags=["oidc"])
    origin = issuers.ordinary.identifier
    for issuer in issuers.all:
        document = metadata(issuer, origin, grant_types, mutual_tls=mutual_tls)
        _add_documents(router, issuer, document)
    return router


def _add_documents(router: APIRouter, issuer: Issuer, document: dict[str, Any]) -> None:
    prefix = urlsplit(issuer.identifier).path

    @router.get(f"{prefix}/.well-known/openid-configuration")
    @router.get(f"/.well-known/oauth-authorization-server{prefix}")
    async def discovery() -> JSONResponse:
        """Describe the provider (OIDC Discovery 1.0, 4; RFC 8414, 3, for clients of OAuth)."""
        return JSONResponse(document, headers=_PUBLIC)

    @router.get(f"{prefix}/oidc/jwks")
    async def jwks() -> Response:
        """Return the public keys of ID tokens (RFC 7517)."""
        keys = issuer.keys.jwks
        return Response(keys, media_type="application/jwk-set+json", headers=_PUBLIC)


def make_authorization_router(
    authorization: AuthorizationEndpoint, sessions: Sessions, pages: Pages, carrier: Carrier
) -> APIRouter:
    """Serve where browsers are sent to log in."""
    router = APIRouter(tags=["oidc"], route_class=_page_route(pages))

    async def authorize(request: Request, fields: QueryFields) -> Response:
        """Answer an authorization request (OIDC Core, 3.1.2)."""
        return await carrier.carry(authorizing(request, fields))

    def authorizing(request: Request, fields: Fields) -> Steps[Response]:
        session = yield from sessions.finding(request.cookies.get(cookies.SESSION))
        outcome = yield from authorization.deciding(fields, session)
        if isinstance(outcome, SendBack) and not outcome.form_post:
            return _see_other(outcome.location)
        return (yield from apart(partial(_answer, request, outcome, pages)))

    route = _query_route(pages, _plain(authorizing, pages, carrier))
    router.add_api_route(PATH, authorize, methods=["GET"], route_class_override=route)

    @router.get(CONTINUE + "/{flow_id}")
    def go_on(request: Request, flow_id: str) -> Response:
        """Go on with a request that needed a page of ours."""
        session = sessions.find(request.cookies.get(cookies.SESSION))
        cookie = request.cookies.get(flow.COOKIE + flow_id, "")
        outcome = authorization.resume(flow_id, cookie, session)
        response = _answer(request, outcome, pages)
        if isinstance(outcome, SendBack):
            cookies.clear_cookie(response, flow.COOKIE + flow_id)
        return response

    @router.get(CONTINUE + "/{flow_id}" + REFUSE)
    def refuse(request: Request, flow_id: str) -> Response:
        """Tell the client that the person does not come."""
        cookie = request.cookies.get(flow.COOKIE + flow_id, "")
        response = _answer(request, authorization.refuse(flow_id, cookie), pages)
        cookies.clear_cookie(response, flow.COOKIE + flow_id)
        return response

    @router.post(PATH)
    def authorize_by_post(fields: FormFields) -> Response:
        """Turn a POST into a GET: only then does the browser send our SameSite=Lax cookie."""
        return _as_get(PATH, fields, "push it (RFC 9126) or shorten it")

    return router


def _plain(
    authorizing: Callable[[Request, Fields], Steps[Response]], pages: Pages, carrier: Carrier
) -> Plain:
    """Make the plain handler of the authorization endpoint."""

    def plain(asked: PlainRequest, give: Give) -> bool:
        request = Request(asked.scope)
        try:
            fields = query_fields(request)
        except Malformed:
            return False  # the route says what is wrong

        def given(outcome: Response | Exception) -> None:
            if isinstance(outcome, Exception):
                outcome = problem_of(outcome, asked.request_id)
            give(outcome)

        carrier.begin(_showing(request, authorizing(request, fields), pages), given)
        return True

    return plain


def _answer(request: Request, outcome: SendBack | Interact, pages: Pages) -> Response:
    if isinstance(outcome, SendBack):
        if outcome.form_post:
            return pages.form_post(request, outcome.redirect_uri, outcome.answer)
        return _see_other(outcome.location)
    query = urlencode({**outcome.parameters, "next": outcome.next_path})
    response = _see_other(f"{outcome.page}?{query}")
    cookies.set_cookie(response, flow.COOKIE + outcome.flow_id, outcome.cookie)
    for name in flow.superfluous(request.cookies):
        cookies.clear_cookie(response, name)
    return response


def make_logout_router(logout: LogoutEndpoint, sessions: Sessions, pages: Pages) -> APIRouter:
    """Serve where browsers are sent to log out."""
    router = APIRouter(tags=["oidc"], route_class=_page_route(pages))

    @router.get("/oidc/logout")
    def end_session(request: Request, fields: QueryFields) -> Response:
        """Log out at the wish of a client (RP-Initiated Logout 1.0, 2)."""
        found = sessions.find(request.cookies.get(cookies.SESSION))
        plan = logout.plan(fields, None if found is None else found[0])
        if plan.needs_confirmation:
            return pages.confirm_logout(request, dict(fields))
        return finish(request, plan.redirect)

    @router.post("/oidc/logout")
    def end_session_by_post(fields: FormFields) -> Response:
        """Turn a POST into a GET, as for authorization."""
        return _as_get("/oidc/logout", fields, "shorten it")

    @router.post("/oidc/logout/confirm")
    def confirmed(request: Request, fields: FormFields) -> Response:
        """The person said yes."""
        asked = [(name, value) for name, value in fields if name != "csrf"]
        try:
            cookies.require_csrf(request, dict(fields).get("csrf", ""))
        except Forbidden:
            return pages.confirm_logout(request, dict(asked))  # asked again, by a page of ours
        return finish(request, logout.plan(asked, None).redirect)

    def finish(request: Request, redirect: str | None) -> Response:
        frames = logout.end(request.cookies.get(cookies.SESSION))
        if redirect is None or frames:
            response = pages.logged_out(request, frames=frames, then=redirect)
        else:
            response = _see_other(redirect)
        cookies.clear_cookie(response, cookies.SESSION)
        return response

    return router


def _as_get(path: str, fields: Fields, otherwise: str) -> RedirectResponse:
    address = f"{path}?{urlencode(fields)}"
    if len(address) > _MOST_OF_ADDRESS:
        raise InvalidRequest(f"the request is too long; {otherwise}")
    return _see_other(address)


def _see_other(uri: str) -> RedirectResponse:
    # 303: the browser must not repeat a POST with a password at the client (RFC 9700, 4.12).
    return RedirectResponse(
        uri, HTTPStatus.SEE_OTHER, headers={**NO_STORE, "Referrer-Policy": "no-referrer"}
    )
