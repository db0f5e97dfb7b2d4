"""A person lets a device without a browser act for them (RFC 8628, 3.3)."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response

from authn import cookies
from authn.assembly import Provider
from authn.forms import field
from authn.oidc.device import PAGE
from authn.oidc.errors import OAuthError
from core.errors import NotFound
from yinxin.portal.pages import PortalPages
from yinxin.portal.visit import Form, go, signed_in

_MOST_CHARACTERS = 32


def add_device(router: APIRouter, provider: Provider, pages: PortalPages) -> None:
    """Ask for the code of the device, then whether it may."""
    devices = provider.endpoints.devices

    @router.get(PAGE)
    def form(request: Request) -> Response:
        code = request.query_params.get("user_code", "")[:_MOST_CHARACTERS]
        return draw(request, code) if not code else confirm(request, code)

    @router.post(PAGE)
    def answer(request: Request, fields: Form) -> Response:
        cookies.require_csrf(request, field(fields, "csrf"))
        code = field(fields, "user_code")[:_MOST_CHARACTERS]
        said = field(fields, "answer")
        if said not in ("allow", "deny"):
            return confirm(request, code)
        session, user = signed_in(request, provider)
        try:
            waiting, client = devices.find(code, address=cookies.address_of(request))
            missing = provider.endpoints.authorization.missing_for(
                client, waiting.grant.scope, (session, user)
            )
            if missing is not None:
                return confirm(request, code)
            devices.decide(waiting, client, session, user, allowed=said == "allow")
        except NotFound:
            return draw(request, code, fault="device_unknown")
        except OAuthError as error:
            return pages.oauth_error(request, error)
        return pages.message(request, "device_allowed" if said == "allow" else "device_denied")

    def confirm(request: Request, code: str) -> Response:
        """Show which application asks, to a person who is logged in as it needs to be."""
        back = f"{PAGE}?{urlencode({'user_code': code})}"
        found = provider.administration.sessions.find(request.cookies.get(cookies.SESSION))
        if found is None:
            return go(f"/login?{urlencode({'next': back})}")
        try:
            waiting, client = devices.find(code, address=cookies.address_of(request))
            missing = provider.endpoints.authorization.missing_for(
                client, waiting.grant.scope, found
            )
        except NotFound:
            return draw(request, code, fault="device_unknown")
        except OAuthError as error:
            return pages.oauth_error(request, error)
        if missing is not None:
            return go(f"{missing.page}?{urlencode({**missing.parameters, 'next': back})}")
        return draw(request, code, client=client.name)

    def draw(
        request: Request, code: str, *, client: str | None = None, fault: str | None = None
    ) -> Response:
        status = HTTPStatus.OK if fault is None else HTTPStatus.NOT_FOUND
        return pages.page(
            "device.html", request, status=status, code=code, client=client, fault=fault
        )
