"""The portal over HTTP: every page, and home."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from authn import cookies
from authn.assembly import Provider
from authn.forms import field
from core.errors import Malformed
from yinxin.portal.page_route import make_page_route
from yinxin.portal.pages import PortalPages
from yinxin.portal.routes_account import add_account
from yinxin.portal.routes_account import log_out as end_and_say
from yinxin.portal.routes_admission import add_admission
from yinxin.portal.routes_certificates import OwnDesk, add_certificates
from yinxin.portal.routes_device import add_device
from yinxin.portal.routes_factors import add_factors
from yinxin.portal.routes_login import (
    add_certificate_login,
    add_login,
    add_passkey_login,
    add_password_change,
    add_step_up,
)
from yinxin.portal.routes_setup import add_setup
from yinxin.portal.routes_tls import add_tls_login
from yinxin.portal.routes_upstream import add_upstreams
from yinxin.portal.visit import Form, shown_methods, signed_in

_STATIC: Final = (
    ("tokens.css", "text/css"),
    ("portal.css", "text/css"),
    ("passkey.js", "text/javascript"),
    ("form_post.js", "text/javascript"),
    ("logged_out.js", "text/javascript"),
)


def make_router(provider: Provider, pages: PortalPages, own: OwnDesk | None = None) -> APIRouter:
    """Serve all pages of the portal. `own`: where people's certificates are, if they are here."""
    router = APIRouter(include_in_schema=False, route_class=make_page_route(pages))
    add_login(router, provider, pages)
    add_device(router, provider, pages)
    add_password_change(router, provider, pages)
    add_certificate_login(router, provider, pages)
    add_tls_login(router, provider, pages)
    add_passkey_login(router, provider, pages)
    add_step_up(router, provider, pages)
    add_factors(router, provider, pages)
    add_upstreams(router, provider, pages)
    add_account(router, provider, pages)
    add_admission(router, provider, pages)
    add_setup(router, provider, pages)
    if own is not None:
        add_certificates(router, provider, pages, own)
    _add_home(router, provider, pages)
    _add_static(router)
    return router


def make_static_router() -> APIRouter:
    """Serve the style sheets and scripts of the pages, by themselves."""
    router = APIRouter(include_in_schema=False)
    _add_static(router)
    return router


def _add_static(router: APIRouter) -> None:
    folder = files("yinxin.portal").joinpath("static")
    for name, kind in _STATIC:
        router.add_api_route(f"/static/{name}", constant(folder.joinpath(name), kind))


def constant(file: Traversable, kind: str) -> Callable[[], Response]:
    """Make a route that answers with a file of ours, from memory."""
    octets = file.read_bytes()
    headers = {"Cache-Control": "public, max-age=3600", "X-Content-Type-Options": "nosniff"}
    return lambda: Response(octets, media_type=kind, headers=headers)


def _add_home(router: APIRouter, provider: Provider, pages: PortalPages) -> None:
    administration = provider.administration

    @router.get("/")
    def home(request: Request) -> Response:
        if administration.sessions.find(request.cookies.get(cookies.SESSION)) is None:
            return RedirectResponse("/login", HTTPStatus.SEE_OTHER)
        return draw(request)

    @router.post("/tokens")
    def create(request: Request, fields: Form) -> Response:
        cookies.require_csrf(request, field(fields, "csrf"))
        _, user = signed_in(request, provider)
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
        administration.api_tokens.revoke(signed_in(request, provider)[1], token_id)
        return RedirectResponse("/", HTTPStatus.SEE_OTHER)

    @router.post("/logout")
    def log_out(request: Request, fields: Form) -> Response:
        cookies.require_csrf(request, field(fields, "csrf"))
        return end_and_say(request, provider, pages)

    def draw(request: Request, secret: str | None = None) -> Response:
        session, user = signed_in(request, provider)
        tokens = administration.api_tokens.list_of(user)
        return pages.page(
            "home.html",
            request,
            user=user,
            session=session,
            methods=shown_methods(session),
            tokens=tokens,
            secret=secret,
        )
