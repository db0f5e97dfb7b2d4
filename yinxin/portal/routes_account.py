"""A person's own page: for whom they act, applications, sessions, certificates; and ending any."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request, Response

from authn import cookies
from authn.assembly import Provider
from authn.forms import field
from authn.store import User
from core.errors import NotFound
from yinxin.portal.next_path import own_path
from yinxin.portal.pages import PortalPages
from yinxin.portal.routes_factors import FRESH
from yinxin.portal.visit import Form, fresh, go, signed_in, what_was_done

PATH: Final = "/account"


def add_account(router: APIRouter, provider: Provider, pages: PortalPages) -> None:
    """Add the page, and what its forms do."""

    @router.get(PATH)
    def overview(request: Request) -> Response:
        session, user = signed_in(request, provider)
        admission, own = provider.admission, provider.administration.sessions.list_of(user)
        entered = provider.administration.sessions.applications_of([one.sid for one in own])
        agreed = admission.consents.list_of(user)
        holding = admission.consents.holding(user) - {one.client_id for one in agreed}
        return pages.page(
            "account.html",
            request,
            user=user,
            session=session,
            done=what_was_done(request),
            real_name=int(admission.people.level_of(user)),
            sessions=own,
            entered={
                sid: [application_name(provider, one) for one in ids]
                for sid, ids in entered.items()
            },
            consents=[(one, application_name(provider, one.client_id)) for one in agreed],
            holding=[(one, application_name(provider, one)) for one in sorted(holding)],
            bindings=provider.certificates.list_of(user),
            **account_choices(provider, user),
        )

    @router.post(PATH + "/switch")
    def switch(request: Request, fields: Form) -> Response:
        cookies.require_csrf(request, field(fields, "csrf"))
        _, user = signed_in(request, provider)
        acting = provider.admission.accounts.acting(user, field(fields, "account") or None)
        cookie = provider.administration.sessions.switch(
            request.cookies.get(cookies.SESSION, ""), None if acting is None else acting.id
        )
        next_path = own_path(field(fields, "next") or PATH)
        response = done("switched") if next_path == PATH else go(next_path)
        cookies.set_cookie(response, cookies.SESSION, cookie)
        return response

    _add_endings(router, provider, pages)


def _add_endings(router: APIRouter, provider: Provider, pages: PortalPages) -> None:
    @router.post(PATH + "/consents/withdraw")
    def withdraw(request: Request, fields: Form) -> Response:
        cookies.require_csrf(request, field(fields, "csrf"))
        _, user = signed_in(request, provider)
        provider.admission.consents.withdraw(user, field(fields, "client"))
        return done("withdrawn")

    @router.post(PATH + "/sessions/{sid}/end")
    def end(sid: str, request: Request, fields: Form) -> Response:
        cookies.require_csrf(request, field(fields, "csrf"))
        session, user = signed_in(request, provider)
        if sid == session.sid:
            return log_out(request, provider, pages)
        sessions = provider.administration.sessions
        if sid not in {one.sid for one in sessions.list_of(user)}:
            raise NotFound("you have no such session")
        sessions.end_these([sid], reason="logout")
        return done("ended")

    @router.post(PATH + "/certificates/{binding_id}/unbind")
    def unbind(binding_id: str, request: Request, fields: Form) -> Response:
        cookies.require_csrf(request, field(fields, "csrf"))
        _, user = fresh(request, provider, within=FRESH, back=PATH)
        if binding_id not in {one.id for one in provider.certificates.list_of(user)}:
            raise NotFound("you have no such binding")
        provider.certificates.unbind(binding_id, actor=user.name)
        return done("unbound")


def done(word: str, path: str = PATH) -> Response:
    """Lead back to the page, which says in one of `DONE` what was done."""
    return go(f"{path}?done={word}")


def log_out(request: Request, provider: Provider, pages: PortalPages) -> Response:
    """End the session of this browser, and say so; applications with a front channel hear of it."""
    frames = provider.logout.end(request.cookies.get(cookies.SESSION))
    response = pages.logged_out(request, frames=frames)
    cookies.clear_cookie(response, cookies.SESSION)
    return response


def application_name(provider: Provider, client_id: str) -> str:
    """Return what people know an application by."""
    try:
        return provider.administration.clients.get(client_id).name
    except NotFound:
        return client_id


def account_choices(provider: Provider, user: User) -> dict[str, Any]:
    """Return what the part `account_switch` of a page needs."""
    accounts = provider.admission.accounts
    named = [
        (one, entry)
        for one in accounts.list_of(user)
        if (entry := accounts.directory.find(one.organisation)) is not None
    ]
    return {
        "affiliations": named,
        "choices": [(one, entry) for one, entry in named if one.capacity.acts],
    }
