"""The portal over HTTP: login, setup, a person's own page. Errors become pages here, once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from importlib.resources import files
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute
from typing_extensions import override

from authn import certlogin, cookies, login
from authn.answers import parse_base64, parse_certificates
from authn.assembly import Provider
from authn.forms import Fields, field, form_fields
from authn.store import Session, User
from core.errors import (
    Forbidden,
    Malformed,
    NotFound,
    Refused,
    Throttled,
    TrustError,
    Unauthenticated,
    Unavailable,
)
from core.http import status_of
from yinxin.portal.next_path import own_path
from yinxin.portal.pages import PortalPages

Form = Annotated[Fields, Depends(form_fields)]

_WORD_OF_ERROR: tuple[tuple[type[TrustError], str], ...] = (
    (Throttled, "throttled"),
    (Forbidden, "stale_form"),
    (Unauthenticated, "login_first"),
    (Unavailable, "busy"),
)


def make_router(provider: Provider, pages: PortalPages) -> APIRouter:
    """Serve all pages of the portal."""
    router = APIRouter(include_in_schema=False, route_class=_page_route(pages))
    _add_login(router, provider, pages)
    _add_certificate_login(router, provider, pages)
    _add_setup(router, provider, pages)
    _add_home(router, provider, pages)
    for name in ("tokens.css", "portal.css"):
        add_stylesheet(router, name, files("yinxin.portal").joinpath(f"static/{name}").read_bytes())
    return router


def add_stylesheet(router: APIRouter, name: str, octets: bytes) -> None:
    """Serve a stylesheet from memory."""

    @router.get(f"/static/{name}", include_in_schema=False)
    def stylesheet() -> Response:
        return Response(
            octets,
            media_type="text/css",
            headers={"Cache-Control": "public, max-age=3600", "X-Content-Type-Options": "nosniff"},
        )


def _add_login(router: APIRouter, provider: Provider, pages: PortalPages) -> None:
    @router.get("/login")
    def form(request: Request) -> Response:
        return draw(request, own_path(request.query_params.get("next", "")))

    @router.post("/login")
    def log_in(request: Request, fields: Form) -> Response:
        cookies.require_csrf(request, field(fields, "csrf"))
        next_path = own_path(field(fields, "next"))
        name = field(fields, "name")
        try:
            user = provider.passwords.authenticate(
                name,
                field(fields, "password"),
                address=cookies.address_of(request),
            )
        except Unauthenticated:
            return draw(request, next_path, name, "wrong", HTTPStatus.UNAUTHORIZED)
        except Throttled as error:
            response = draw(request, next_path, name, "throttled", HTTPStatus.TOO_MANY_REQUESTS)
            response.headers["Retry-After"] = str(error.retry_after)
            return response
        return _enter(request, provider, user, (login.AMR, login.ACR), next_path)

    def draw(
        request: Request,
        next_path: str,
        name: str = "",
        fault: str | None = None,
        status: HTTPStatus = HTTPStatus.OK,
    ) -> Response:
        return pages.page(
            "login.html",
            request,
            status=status,
            leaves=True,
            next_path=next_path,
            name=name,
            fault=fault,
        )


def _add_certificate_login(router: APIRouter, provider: Provider, pages: PortalPages) -> None:
    @router.get("/login/certificate")
    def form(request: Request) -> Response:
        return draw(request, own_path(request.query_params.get("next", "")))

    @router.post("/login/certificate")
    def log_in(request: Request, fields: Form) -> Response:
        cookies.require_csrf(request, field(fields, "csrf"))
        next_path = own_path(field(fields, "next"))
        try:
            user = provider.certificates.authenticate(
                field(fields, "nonce"),
                parse_certificates(field(fields, "certificate")),
                parse_base64(field(fields, "signature"), what="the signature"),
                browser=request.cookies.get(cookies.BROWSER, ""),
                address=cookies.address_of(request),
            )
        except (Malformed, Unauthenticated) as error:
            return draw(request, next_path, str(error), HTTPStatus.UNAUTHORIZED)
        return _enter(request, provider, user, (certlogin.AMR, certlogin.ACR), next_path)

    def draw(
        request: Request,
        next_path: str,
        fault: str | None = None,
        status: HTTPStatus = HTTPStatus.OK,
    ) -> Response:
        browser = cookies.browser_of(request)
        nonce = provider.certificates.challenge(browser)
        return pages.page(
            "certificate.html",
            request,
            status=status,
            leaves=True,
            next_path=next_path,
            fault=fault,
            nonce=nonce,
            message=provider.certificates.message(nonce),
        )


def _add_setup(router: APIRouter, provider: Provider, pages: PortalPages) -> None:
    users = provider.administration.users

    @router.get("/setup/{token}")
    def form(token: str, request: Request) -> Response:
        return draw(token, request)

    @router.post("/setup/{token}")
    def complete(token: str, request: Request, fields: Form) -> Response:
        cookies.require_csrf(request, field(fields, "csrf"))
        if field(fields, "password") != field(fields, "repeat"):
            return draw(token, request, "different")
        try:
            users.complete_setup(token, field(fields, "password"))
        except Refused as error:
            return draw(token, request, "password_refused", str(error))
        except NotFound:
            return gone(request)
        return pages.message(request, "setup_done")

    def draw(
        token: str, request: Request, fault: str | None = None, detail: str | None = None
    ) -> Response:
        user = users.find_by_setup_link(token)
        if user is None:
            return gone(request)
        status = HTTPStatus.OK if fault is None else HTTPStatus.UNPROCESSABLE_ENTITY
        return pages.page(
            "setup.html", request, status=status, user=user, fault=fault, detail=detail
        )

    def gone(request: Request) -> Response:
        return pages.message(request, "link_gone", status=HTTPStatus.NOT_FOUND)


def _add_home(router: APIRouter, provider: Provider, pages: PortalPages) -> None:
    administration = provider.administration

    def signed_in(request: Request) -> tuple[Session, User]:
        found = administration.sessions.find(request.cookies.get(cookies.SESSION))
        if found is None:
            raise Unauthenticated("sign in first")
        return found

    @router.get("/")
    def home(request: Request) -> Response:
        if administration.sessions.find(request.cookies.get(cookies.SESSION)) is None:
            return RedirectResponse("/login", HTTPStatus.SEE_OTHER)
        return draw(request)

    @router.post("/tokens")
    def create(request: Request, fields: Form) -> Response:
        cookies.require_csrf(request, field(fields, "csrf"))
        _, user = signed_in(request)
        days = field(fields, "days")
        if not days.isascii() or not days.isdigit() or len(days) > 4:
            raise Malformed("days is not a number")
        secret = administration.api_tokens.create(
            user, name=field(fields, "name"), days=int(days), actor=user.name
        )
        return draw(request, secret)

    @router.post("/tokens/{token_id}/revoke")
    def revoke(token_id: str, request: Request, fields: Form) -> Response:
        cookies.require_csrf(request, field(fields, "csrf"))
        administration.api_tokens.revoke(signed_in(request)[1], token_id)
        return RedirectResponse("/", HTTPStatus.SEE_OTHER)

    @router.post("/logout")
    def log_out(request: Request, fields: Form) -> Response:
        cookies.require_csrf(request, field(fields, "csrf"))
        administration.sessions.end(request.cookies.get(cookies.SESSION, ""))
        response = pages.logged_out(request)
        cookies.clear_cookie(response, cookies.SESSION)
        return response

    def draw(request: Request, secret: str | None = None) -> Response:
        session, user = signed_in(request)
        tokens = administration.api_tokens.list_of(user)
        return pages.page(
            "home.html", request, user=user, session=session, tokens=tokens, secret=secret
        )


def _enter(
    request: Request, provider: Provider, user: User, method: tuple[str, str], next_path: str
) -> Response:
    amr, acr = method
    cookie = provider.administration.sessions.start(
        user, amr=amr, acr=acr, replaces=request.cookies.get(cookies.SESSION)
    )
    response = RedirectResponse(
        next_path,
        HTTPStatus.SEE_OTHER,
        headers={"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"},
    )
    cookies.set_cookie(response, cookies.SESSION, cookie)
    return response


def _page_route(pages: PortalPages) -> type[APIRoute]:
    class PageRoute(APIRoute):
        """Answers errors with a page."""

        @override
        def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]  # FastAPI says Coroutine
            handler = super().get_route_handler()

            async def translated(request: Request) -> Response:
                try:
                    return await handler(request)
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
