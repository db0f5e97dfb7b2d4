"""A person's own factors: what stands beside the password, enrolled and removed by themselves."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from textwrap import wrap
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from authn import cookies
from authn.assembly import Provider
from authn.forms import Fields, field
from authn.levels import ONE_TIME_PASSWORD
from authn.store import User
from core.errors import Conflict, Malformed, NotFound, Unauthenticated
from yinxin.portal.pages import PortalPages
from yinxin.portal.visit import Form, fresh, go, remember, signed_in, what_was_done

PATH: Final = "/account/security"
FRESH: Final = timedelta(minutes=10)
"""Who changes how they log in has logged in so recently: a browser left open is not enough."""


def add_factors(router: APIRouter, provider: Provider, pages: PortalPages) -> None:
    """Add the page of factors and what its forms do."""
    shown = _Page(provider, pages)

    @router.get(PATH)
    def overview(request: Request) -> Response:
        return shown.draw(request)

    _add_generator(router, shown)
    _add_passkeys(router, shown)


def _add_generator(router: APIRouter, shown: _Page) -> None:
    passwords = shown.provider.one_time_passwords

    @router.post(PATH + "/totp")
    def offer(request: Request, fields: Form) -> Response:
        user = shown.changing(request, fields)
        try:
            secret = passwords.offer(user)
        except Conflict:
            return go(PATH)
        return shown.draw_offer(request, user, secret)

    @router.post(PATH + "/totp/confirm")
    def confirm(request: Request, fields: Form) -> Response:
        user = shown.changing(request, fields)
        try:
            codes = passwords.confirm(
                user, field(fields, "code"), address=cookies.address_of(request)
            )
        except NotFound:
            return go(PATH)
        except Unauthenticated:
            # The same secret: the person's phone has it already.
            return shown.draw_offer(request, user, passwords.offered(user) or "", fault=True)
        response = shown.draw(request, codes=codes)
        # The code was just shown, so this session has two factors now.
        return remember(response, request, shown.provider, user, ONE_TIME_PASSWORD)

    @router.post(PATH + "/totp/remove")
    def remove(request: Request, fields: Form) -> Response:
        user = shown.changing(request, fields)
        passwords.remove(user, actor=user.name)
        return go(f"{PATH}?done=removed")

    @router.post(PATH + "/recovery-codes")
    def renew(request: Request, fields: Form) -> Response:
        user = shown.changing(request, fields)
        return shown.draw(request, codes=passwords.renew_recovery_codes(user))


def _add_passkeys(router: APIRouter, shown: _Page) -> None:
    passkeys = shown.provider.passkeys

    @router.post(PATH + "/passkeys")
    def register(request: Request, fields: Form) -> Response:
        user = shown.changing(request, fields)
        try:
            passkeys.register(
                user,
                field(fields, "name"),
                field(fields, "credential"),
                browser=request.cookies.get(cookies.BROWSER, ""),
            )
        except (Malformed, Conflict):
            return shown.draw(
                request, fault="passkey_refused", status=HTTPStatus.UNPROCESSABLE_ENTITY
            )
        return go(f"{PATH}?done=enrolled")

    @router.post(PATH + "/passkeys/{passkey_id}/rename")
    def rename(passkey_id: str, request: Request, fields: Form) -> Response:
        cookies.require_csrf(request, field(fields, "csrf"))
        _, user = signed_in(request, shown.provider)
        passkeys.rename(user, passkey_id, field(fields, "name"))
        return go(f"{PATH}?done=renamed")

    @router.post(PATH + "/passkeys/{passkey_id}/remove")
    def remove(passkey_id: str, request: Request, fields: Form) -> Response:
        user = shown.changing(request, fields)
        passkeys.remove(user, passkey_id, actor=user.name)
        return go(f"{PATH}?done=removed")


class _Page:
    """Draws the page of factors, and lets only who just logged in change them."""

    def __init__(self, provider: Provider, pages: PortalPages) -> None:
        self.provider = provider
        self._pages = pages

    def changing(self, request: Request, fields: Fields) -> User:
        cookies.require_csrf(request, field(fields, "csrf"))
        return fresh(request, self.provider, within=FRESH, back=PATH)[1]

    def draw_offer(
        self, request: Request, user: User, secret: str, *, fault: bool = False
    ) -> Response:
        address = self.provider.one_time_passwords.address(user, secret)
        status = HTTPStatus.UNAUTHORIZED if fault else HTTPStatus.OK
        values = offer_values(secret, address)
        return self._pages.page("totp.html", request, status=status, fault=fault, **values)

    def draw(
        self,
        request: Request,
        *,
        codes: list[str] | None = None,
        fault: str | None = None,
        status: HTTPStatus = HTTPStatus.OK,
    ) -> Response:
        session, user = signed_in(request, self.provider)
        passwords = self.provider.one_time_passwords
        enrolled = passwords.is_enrolled(user)
        return self._pages.page(
            "security.html",
            request,
            status=status,
            user=user,
            session=session,
            totp=enrolled,
            left=passwords.recovery_codes_left(user) if enrolled else 0,
            codes=codes,
            fault=fault,
            done=what_was_done(request),
            script=True,
            leaves=bool(self.provider.upstreams.openid),  # to tie an identity of one of them
            sources=[one.config for one in self.provider.upstreams.openid.values()],
            directories=[one.config for one in self.provider.upstreams.directories.values()],
            linked={one.source for one in self.provider.upstreams.links.list_of(user)},
            passkeys=self.provider.passkeys.list_of(user),
            options=self.provider.passkeys.registration_options(user, cookies.browser_of(request)),
        )


def offer_values(secret: str, address: str) -> dict[str, Any]:
    """Return what the part `totp_offer` of a page needs."""
    return {"secret": " ".join(wrap(secret, 4)), "address": address}
