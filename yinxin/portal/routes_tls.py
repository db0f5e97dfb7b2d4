"""Logging in with the certificate that TLS asks for: begin and end here, the proof elsewhere."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response

from authn import cookies
from authn.assembly import Provider
from core.errors import Malformed, NotFound, Unauthenticated
from core.http import client_certificate
from yinxin.portal.next_path import own_path
from yinxin.portal.page_route import make_page_route
from yinxin.portal.pages import PortalPages
from yinxin.portal.visit import enter, go

PROVE = "/login/tls/certificate"


def add_tls_login(router: APIRouter, provider: Provider, pages: PortalPages) -> None:
    """Send a person to where TLS asks for a certificate, and take them back."""
    login = provider.tls_login

    @router.get("/login/tls")
    def begin(request: Request) -> Response:
        if login.url is None:
            raise NotFound("no place is set where TLS asks for certificates")
        browser = cookies.browser_of(request)
        query = {
            "nonce": provider.certificates.challenge(browser),
            "next": own_path(request.query_params.get("next", "")),
        }
        response = go(f"{login.url}{PROVE}?{urlencode(query)}")
        cookies.set_cookie(response, cookies.BROWSER, browser)
        return response

    @router.get("/login/tls/finish")
    def finish(request: Request) -> Response:
        next_path = own_path(request.query_params.get("next", ""))
        try:
            proven = login.finish(
                request.query_params.get("ticket", ""),
                browser=request.cookies.get(cookies.BROWSER, ""),
                address=cookies.address_of(request),
            )
        except Unauthenticated as error:
            return _not_in(request, pages, error, "", next_path)
        return enter(request, provider, proven.user, proven.method, next_path)


def make_tls_router(provider: Provider, pages: PortalPages) -> APIRouter:
    """Serve the proof, on the listener where TLS asks for certificates."""
    router = APIRouter(include_in_schema=False, route_class=make_page_route(pages))
    login = provider.tls_login

    @router.get(PROVE)
    def prove(request: Request) -> Response:
        nonce = request.query_params.get("nonce", "")
        if len(nonce) != 43:
            raise Malformed("begin at the sign-in page")
        next_path = own_path(request.query_params.get("next", ""))
        shown = login.presented(client_certificate(request), dict(request.headers.raw))
        if shown is None:
            nothing = Unauthenticated("your browser showed no certificate")
            return _not_in(request, pages, nothing, login.portal, next_path)
        try:
            ticket = login.prove(nonce, shown, address=cookies.address_of(request))
        except Unauthenticated as error:
            return _not_in(request, pages, error, login.portal, next_path)
        query = {"ticket": ticket, "next": next_path}
        return go(f"{login.portal}/login/tls/finish?{urlencode(query)}")

    return router


def _not_in(
    request: Request, pages: PortalPages, error: Unauthenticated, portal: str, next_path: str
) -> Response:
    """Say what is wrong with the certificate, and lead back to the ways of signing in."""
    return pages.message(
        request,
        "certificate_wrong",
        status=HTTPStatus.UNAUTHORIZED,
        detail=str(error),
        then=f"{portal}/login/certificate?{urlencode({'next': next_path})}",
    )
