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
from yinxin.portal.visit import Form, go

_MOST_CHARACTERS = 32


def add_device(router: APIRouter, provider: Provider, pages: PortalPages) -> None:
    """Ask for the code of the device, then whether it may."""
    device = _DevicePages(provider, pages)

    @router.get(PAGE)
    def form(request: Request) -> Response:
        code = request.query_params.get("user_code", "")[:_MOST_CHARACTERS]
        return device.ask(request, code) if code else device.draw(request)

    @router.post(PAGE)
    def answer(request: Request, fields: Form) -> Response:
        cookies.require_csrf(request, field(fields, "csrf"))
        code = field(fields, "user_code")[:_MOST_CHARACTERS]
        said = field(fields, "answer")
        if said not in ("allow", "deny"):
            return device.ask(request, code)
        return device.decide(request, code, allowed=said == "allow")


class _DevicePages:
    """What a person sees, and what follows from what they say."""

    def __init__(self, provider: Provider, pages: PortalPages) -> None:
        self._devices = provider.endpoints.devices
        self._authorization = provider.endpoints.authorization
        self._sessions = provider.administration.sessions
        self._pages = pages

    def ask(self, request: Request, code: str) -> Response:
        """Show which application asks, to a person who is logged in as it needs to be."""
        return self._with_device(request, code, None)

    def decide(self, request: Request, code: str, *, allowed: bool) -> Response:
        """Do what the person says."""
        return self._with_device(request, code, allowed)

    def _with_device(self, request: Request, code: str, allowed: bool | None) -> Response:
        back = f"{PAGE}?{urlencode({'user_code': code})}"
        found = self._sessions.find(request.cookies.get(cookies.SESSION))
        if found is None:
            return go(f"/login?{urlencode({'next': back})}")
        try:
            waiting, client = self._devices.find(code, address=cookies.address_of(request))
            missing = self._authorization.missing_for(client, waiting.grant.scope, found)
            if missing is not None:
                return go(f"{missing.page}?{urlencode({**missing.parameters, 'next': back})}")
            if allowed is None:
                return self.draw(request, code, client=client.name)
            self._devices.decide(waiting, client, *found, allowed=allowed)
        except NotFound:
            return self.draw(request, code, fault="device_unknown")
        except OAuthError as error:
            return self._pages.oauth_error(request, error)
        word = "device_allowed" if allowed else "device_denied"
        return self._pages.message(request, word, then="/", leads="back_home")

    def draw(
        self,
        request: Request,
        code: str = "",
        *,
        client: str | None = None,
        fault: str | None = None,
    ) -> Response:
        """Draw the page: for the code, or for the question."""
        status = HTTPStatus.OK if fault is None else HTTPStatus.NOT_FOUND
        return self._pages.page(
            "device.html", request, status=status, code=code, client=client, fault=fault
        )
