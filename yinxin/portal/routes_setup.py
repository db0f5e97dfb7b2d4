"""What a one-time link opens: a person chooses a password, and enrols a generator where needed."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Request, Response

from authn import cookies
from authn.assembly import Provider
from authn.forms import field
from core.errors import NotFound, Refused, Unauthenticated
from yinxin.portal.pages import PortalPages
from yinxin.portal.routes_factors import offer_values
from yinxin.portal.visit import Form

_FIRST_STEPS: Final = "/login?next=/console/start"


def add_setup(router: APIRouter, provider: Provider, pages: PortalPages) -> None:
    """Add the page of the link."""
    setup = provider.setup

    @router.get("/setup/{token}")
    def form(token: str, request: Request) -> Response:
        return draw(token, request)

    @router.post("/setup/{token}")
    def complete(token: str, request: Request, fields: Form) -> Response:
        cookies.require_csrf(request, field(fields, "csrf"))
        password, code = field(fields, "password"), field(fields, "code")
        if password != field(fields, "repeat"):
            return draw(token, request, "different")
        person = setup.find(token)
        try:
            codes = setup.complete(token, password, code, address=cookies.address_of(request))
        except (Refused, Unauthenticated) as error:
            return draw(token, request, *_fault(error))
        except NotFound:
            return gone(request)
        then = "/login" if person is None or person.role is None else _FIRST_STEPS
        if codes:
            return pages.page("setup_done.html", request, codes=codes, then=then)
        return pages.message(request, "setup_done", then=then)

    def draw(
        token: str, request: Request, fault: str | None = None, detail: str | None = None
    ) -> Response:
        user = setup.find(token)
        if user is None:
            return gone(request)
        secret = setup.offer(user, anew=fault is None)
        passwords = provider.one_time_passwords
        address = "" if secret is None else passwords.address(user, secret)
        return pages.page(
            "setup.html",
            request,
            status=HTTPStatus.OK if fault is None else HTTPStatus.UNPROCESSABLE_ENTITY,
            user=user,
            fault=fault,
            detail=detail,
            **offer_values(secret or "", address),
        )

    def gone(request: Request) -> Response:
        return pages.message(request, "link_gone", status=HTTPStatus.NOT_FOUND)


def _fault(error: Refused | Unauthenticated) -> tuple[str, str | None]:
    if isinstance(error, Refused):
        return "password_refused", str(error)
    return "code_wrong", None
