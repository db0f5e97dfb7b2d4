"""CAS 2.0 and 3.0 over HTTP (https://apereo.github.io/cas, protocol specification 3.0.3)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from fastapi.routing import APIRoute

from authn import cookies
from authn.legacy import cas
from authn.legacy.entry import Entry, UnknownApplication
from authn.oidc.logout import LogoutEndpoint
from authn.oidc.pages import Pages
from authn.sessions import Sessions

_NO_STORE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


def make_cas_router(
    entry: Entry,
    sessions: Sessions,
    logout: LogoutEndpoint,
    pages: Pages,
    *,
    page_route: type[APIRoute],
) -> APIRouter:
    """Serve /cas."""
    router = APIRouter(prefix="/cas", tags=["cas"], route_class=page_route)
    _add_login(router, entry, sessions, pages)
    _add_validation(router, entry)

    @router.get("/logout")
    def log_out(request: Request) -> Response:
        """End the session; go on to `service` if it is registered (2.3)."""
        service: str | None = request.query_params.get("service")
        if service is not None:
            try:
                entry.client_of_service(service)
            except UnknownApplication:
                service = None
        frames = logout.end(request.cookies.get(cookies.SESSION))
        if service is None or frames:
            response = pages.logged_out(request, frames=frames, then=service)
        else:
            response = _see_other(service)
        cookies.clear_cookie(response, cookies.SESSION)
        return response

    return router


def _add_login(router: APIRouter, entry: Entry, sessions: Sessions, pages: Pages) -> None:
    @router.get("/login")
    def login(request: Request) -> Response:
        """Log in, and go back to `service` with a ticket (2.1)."""
        asked = request.query_params
        service = asked.get("service", "")
        if not service:
            return _see_other("/")
        client = entry.client_of_service(service)
        by_post = asked.get("method", "").upper() == "POST"  # CAS 3.0, 2.1.1
        found = sessions.find(request.cookies.get(cookies.SESSION))
        fresh = _is_set(asked.get("renew"))
        missing = entry.missing(client, found, fresh=fresh, sent=asked.get("sent"))
        if missing is None and found is not None:
            ticket = entry.give(client, service, *found, prefix=cas.PREFIX, fresh=fresh)
            if by_post:
                return pages.form_post(request, service, {"ticket": ticket})
            return _see_other(_with(service, ticket=ticket))
        if missing is None or _is_set(asked.get("gateway")):
            return _see_other(service)
        back = {"service": service}
        back |= {"renew": "true", "sent": entry.mark_sent(client, found)} if fresh else {}
        back |= {"method": "POST"} if by_post else {}
        following = {**missing.parameters, "next": f"/cas/login?{urlencode(back)}"}
        return _see_other(f"{missing.page}?{urlencode(following)}")


def _add_validation(router: APIRouter, entry: Entry) -> None:
    def validate(request: Request, *, with_attributes: bool) -> Response:
        asked = request.query_params
        service, ticket = asked.get("service", ""), asked.get("ticket", "")
        as_json = asked.get("format", "XML").upper() == "JSON"
        if not service or not ticket:
            return _failed("INVALID_REQUEST", as_json=as_json)
        admitted = entry.redeem(ticket, service, told=True)
        if admitted is None or (_is_set(asked.get("renew")) and not admitted.ticket.fresh):
            return _failed("INVALID_TICKET", as_json=as_json)
        told: dict[str, Any] = cas.attributes(admitted) if with_attributes else {}
        if as_json:
            answer = cas.success_json(admitted.user.name, told)
            return JSONResponse(answer, headers=_NO_STORE)
        return _xml(cas.success_xml(admitted.user.name, told))

    # Java's client validates at proxyValidate when it is told to accept proxies, too (2.6); the
    # tickets that it is asked about are those of services, since no others are given.
    @router.get("/serviceValidate")
    @router.get("/proxyValidate")
    def service_validate(request: Request) -> Response:
        """Tell the application who came with a ticket (2.5)."""
        return validate(request, with_attributes=False)

    @router.get("/p3/serviceValidate")
    @router.get("/p3/proxyValidate")
    def service_validate_3(request: Request) -> Response:
        """The same with attributes (2.8)."""
        return validate(request, with_attributes=True)

    @router.get("/proxy")
    def proxy() -> Response:
        """Refuse a proxy ticket (2.7)."""
        return _xml(cas.proxy_failure_xml())


def _is_set(value: str | None) -> bool:
    return value is not None and value.lower() != "false"


def _failed(code: str, *, as_json: bool) -> Response:
    if as_json:
        return JSONResponse(cas.failure_json(code), headers=_NO_STORE)
    return _xml(cas.failure_xml(code))


def _xml(text: str) -> Response:
    return Response(text, media_type="application/xml", headers=_NO_STORE)


def _with(address: str, **parameters: str) -> str:
    return f"{address}{'&' if '?' in address else '?'}{urlencode(parameters)}"


def _see_other(address: str) -> RedirectResponse:
    return RedirectResponse(address, HTTPStatus.SEE_OTHER, headers=_NO_STORE)
