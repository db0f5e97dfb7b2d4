"""Logging in: password, certificate, and what is still missing after the first of them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response

from authn import cookies, levels
from authn.answers import parse_answer
from authn.assembly import Provider
from authn.forms import field
from authn.levels import Level, level_of, level_of_word
from core.errors import Malformed, Refused, Throttled, Unauthenticated
from yinxin.portal.destination import destination
from yinxin.portal.next_path import own_path
from yinxin.portal.pages import PortalPages
from yinxin.portal.visit import Form, begun, enter, go, last_way

_WHY: Final = ("confirm_first", "login_again")
"""Why somebody who is signed in is asked to sign in, in words of the page."""


def add_login(router: APIRouter, provider: Provider, pages: PortalPages) -> None:
    """Ask for name and password."""

    @router.get("/login")
    def form(request: Request) -> Response:
        next_path = own_path(request.query_params.get("next", ""))
        found = begun(request, provider)
        if found is not None and not found[0].is_complete:
            return go(f"/login/step-up?{urlencode({'next': next_path})}")
        why = request.query_params.get("why")
        hint = request.query_params.get("login_hint", "")[:64]
        return draw(request, next_path, hint, fault=why if why in _WHY else None)

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
            wait = error.retry_after
            status = HTTPStatus.TOO_MANY_REQUESTS
            response = draw(request, next_path, name, "throttled", status, wait=wait)
            response.headers["Retry-After"] = str(wait)
            return response
        if provider.administration.password_policy.has_expired(user):
            asked = {"name": name, "why": "password_expired", "next": next_path}
            return go(f"/login/password?{urlencode(asked)}")
        return enter(request, provider, user, levels.PASSWORD, next_path)

    def draw(
        request: Request,
        next_path: str,
        name: str = "",
        fault: str | None = None,
        status: HTTPStatus = HTTPStatus.OK,
        *,
        wait: int | None = None,
    ) -> Response:
        return pages.page(
            "login.html",
            request,
            status=status,
            leaves=True,
            next_path=next_path,
            application=destination(request, provider, next_path),
            name=name,
            fault=fault,
            wait=wait,
            locks=provider.passwords.locks,
            last=last_way(request),
            already=provider.administration.sessions.find(request.cookies.get(cookies.SESSION)),
            sources=[one.config for one in provider.upstreams.openid.values()],
            directories=[one.config for one in provider.upstreams.directories.values()],
        )


def add_password_change(router: APIRouter, provider: Provider, pages: PortalPages) -> None:
    """Let a person choose another password, who knows the old one."""

    @router.get("/login/password")
    def form(request: Request) -> Response:
        query = request.query_params
        expired = query.get("why") == "password_expired"
        return draw(
            request,
            own_path(query.get("next", "")),
            query.get("name", "")[:64],
            "password_expired" if expired else None,
            status=HTTPStatus.OK,
        )

    @router.post("/login/password")
    def change(request: Request, fields: Form) -> Response:
        cookies.require_csrf(request, field(fields, "csrf"))
        next_path, name = own_path(field(fields, "next")), field(fields, "name")
        new = field(fields, "password")
        if new != field(fields, "repeat"):
            return draw(request, next_path, name, "different")
        try:
            user = provider.password_change.change(
                name, field(fields, "old"), new, address=cookies.address_of(request)
            )
        except Unauthenticated:
            return draw(request, next_path, name, "wrong")
        except Refused as error:
            return draw(request, next_path, name, "password_refused", str(error))
        return enter(request, provider, user, levels.PASSWORD, next_path)

    def draw(
        request: Request,
        next_path: str,
        name: str,
        fault: str | None = None,
        detail: str | None = None,
        *,
        status: HTTPStatus = HTTPStatus.UNPROCESSABLE_ENTITY,
    ) -> Response:
        return pages.page(
            "password.html",
            request,
            status=status,
            leaves=True,
            next_path=next_path,
            application=destination(request, provider, next_path),
            name=name,
            fault=fault,
            detail=detail,
            locks=provider.passwords.locks,
        )


def add_certificate_login(router: APIRouter, provider: Provider, pages: PortalPages) -> None:
    """Ask for a signed challenge."""

    @router.get("/login/certificate")
    def form(request: Request) -> Response:
        return draw(request, own_path(request.query_params.get("next", "")))

    @router.post("/login/certificate")
    def log_in(request: Request, fields: Form) -> Response:
        cookies.require_csrf(request, field(fields, "csrf"))
        next_path = own_path(field(fields, "next"))
        try:
            proven = provider.certificates.authenticate(
                field(fields, "nonce"),
                parse_answer(field(fields, "certificate"), field(fields, "signature")),
                browser=request.cookies.get(cookies.BROWSER, ""),
                address=cookies.address_of(request),
            )
        except (Malformed, Refused, Unauthenticated) as error:
            shown = field(fields, "certificate")  # it is good for the next text, too
            return draw(request, next_path, str(error), HTTPStatus.UNAUTHORIZED, shown)
        return enter(request, provider, proven.user, proven.method, next_path)

    def draw(
        request: Request,
        next_path: str,
        fault: str | None = None,
        status: HTTPStatus = HTTPStatus.OK,
        certificate: str = "",
    ) -> Response:
        browser = cookies.browser_of(request)
        nonce = provider.certificates.challenge(browser)
        return pages.page(
            "certificate.html",
            request,
            status=status,
            leaves=True,
            next_path=next_path,
            application=destination(request, provider, next_path),
            fault=fault,
            certificate=certificate,
            nonce=nonce,
            message=provider.certificates.message(nonce),
            by_tls=provider.tls_login.url is not None,
        )


def add_passkey_login(router: APIRouter, provider: Provider, pages: PortalPages) -> None:
    """Ask the browser for a passkey."""

    @router.get("/login/passkey")
    def form(request: Request) -> Response:
        return draw(request, own_path(request.query_params.get("next", "")))

    @router.post("/login/passkey")
    def log_in(request: Request, fields: Form) -> Response:
        cookies.require_csrf(request, field(fields, "csrf"))
        next_path = own_path(field(fields, "next"))
        try:
            user = provider.passkeys.authenticate(
                field(fields, "credential"),
                browser=request.cookies.get(cookies.BROWSER, ""),
                address=cookies.address_of(request),
            )
        except Unauthenticated:
            return draw(request, next_path, "passkey_wrong", HTTPStatus.UNAUTHORIZED)
        return enter(request, provider, user, levels.PASSKEY, next_path)

    def draw(
        request: Request,
        next_path: str,
        fault: str | None = None,
        status: HTTPStatus = HTTPStatus.OK,
    ) -> Response:
        return pages.page(
            "passkey.html",
            request,
            status=status,
            leaves=True,
            script=True,
            next_path=next_path,
            application=destination(request, provider, next_path),
            fault=fault,
            options=provider.passkeys.login_options(cookies.browser_of(request)),
        )


def add_step_up(router: APIRouter, provider: Provider, pages: PortalPages) -> None:
    """Ask a person who is logged in for what is missing, and for nothing else."""

    @router.get("/login/step-up")
    def form(request: Request) -> Response:
        query = request.query_params
        return draw(request, own_path(query.get("next", "")), query.get("level", ""))

    @router.post("/login/step-up")
    def second_factor(request: Request, fields: Form) -> Response:
        cookies.require_csrf(request, field(fields, "csrf"))
        next_path, level = own_path(field(fields, "next")), field(fields, "level")
        found = begun(request, provider)
        if found is None:
            return go(f"/login?{urlencode({'next': next_path})}")
        try:
            method = provider.one_time_passwords.verify(
                found[1], field(fields, "code"), address=cookies.address_of(request)
            )
        except Unauthenticated:
            return draw(request, next_path, level, "code_wrong", HTTPStatus.UNAUTHORIZED)
        return enter(request, provider, found[1], method, next_path)

    def draw(
        request: Request,
        next_path: str,
        level: str,
        fault: str | None = None,
        status: HTTPStatus = HTTPStatus.OK,
    ) -> Response:
        found = begun(request, provider)
        if found is None:
            return go(f"/login?{urlencode({'next': next_path})}")
        session, user = found
        needed = max(_level(level), level_of(session.least) or Level.PASSWORD)
        if fault is None and session.level >= needed:
            return go(next_path)
        wanted = max(needed, Level.TWO_FACTORS)
        by_code = wanted <= Level.TWO_FACTORS
        return pages.page(
            "step_up.html",
            request,
            status=status,
            leaves=True,
            next_path=next_path,
            application=destination(request, provider, next_path),
            fault=fault,
            user=user,
            wanted=wanted.word,
            own=not session.is_complete,
            takes_code=by_code and provider.one_time_passwords.is_enrolled(user),
            takes_passkey=by_code and bool(provider.passkeys.list_of(user)),
            takes_certificate=bool(provider.certificates.list_of(user)),
        )


def _level(word: str) -> Level:
    try:
        return level_of_word(word)
    except KeyError:
        return Level.PASSWORD
