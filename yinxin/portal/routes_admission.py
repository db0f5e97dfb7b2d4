"""Between a person and an application: may they enter, and do they agree."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from authn import cookies
from authn.access import Refusal
from authn.assembly import Provider
from authn.forms import field
from authn.oidc import flow, scopes
from authn.oidc.authorize import CONTINUE, REFUSE
from authn.oidc.store import Client
from authn.store import Session
from core.errors import Malformed, NotFound
from yinxin.portal.destination import destination
from yinxin.portal.next_path import own_path
from yinxin.portal.pages import PortalPages
from yinxin.portal.routes_account import account_choices, application_name
from yinxin.portal.visit import Form, go, signed_in


def add_admission(router: APIRouter, provider: Provider, pages: PortalPages) -> None:
    """Add the page that refuses, and the page that asks."""

    @router.get("/login/refused")
    def refused(request: Request) -> Response:
        session, user = signed_in(request, provider)
        query = request.query_params
        next_path, client_id = own_path(query.get("next", "")), query.get("client", "")[:64]
        try:
            reason = Refusal(query.get("reason", ""))
        except ValueError as error:
            raise Malformed("the address of this page is not complete") from error
        return pages.page(
            "refused.html",
            request,
            status=HTTPStatus.FORBIDDEN,
            leaves=True,
            session=session,
            application=application_name(provider, client_id),
            contacts=_contacts(provider, client_id),
            wanted=provider.admission.access.policy(client_id).least_level.word,
            reason=reason,
            next_path=next_path,
            denied=denied(next_path),
            **account_choices(provider, user),
        )

    _add_selection(router, provider, pages)

    @router.get("/login/consent")
    def ask(request: Request) -> Response:
        signed_in(request, provider)
        query = request.query_params
        client = provider.administration.clients.get(query.get("client", ""))
        return pages.page(
            "consent.html",
            request,
            leaves=True,
            client=client,
            scope=_asked(query.get("scope", ""), client),
            next_path=own_path(query.get("next", "")),
        )

    @router.post("/login/consent")
    def answer(request: Request, fields: Form) -> Response:
        cookies.require_csrf(request, field(fields, "csrf"))
        session, user = signed_in(request, provider)
        next_path = own_path(field(fields, "next"))
        if field(fields, "answer") != "agree":
            return go(denied(next_path))
        client = provider.administration.clients.get(field(fields, "client"))
        scope = " ".join(_asked(field(fields, "scope"), client))
        provider.admission.consents.give(session, user, client.id, scope)
        return go(next_path)


def _add_selection(router: APIRouter, provider: Provider, pages: PortalPages) -> None:
    """Ask as whom a person enters (OIDC Core, 3.1.2.1: prompt=select_account)."""

    @router.get("/login/select")
    def ask(request: Request) -> Response:
        session, user = signed_in(request, provider)
        query = request.query_params
        next_path = own_path(query.get("next", ""))
        choices = account_choices(provider, user)
        if query.get("fresh") and not choices["choices"]:
            return chosen(request, session, next_path)
        return pages.page(
            "select.html",
            request,
            leaves=True,
            session=session,
            user=user,
            next_path=next_path,
            application=destination(request, provider, next_path),
            denied=denied(next_path),
            **choices,
        )

    @router.post("/login/select")
    def choose(request: Request, fields: Form) -> Response:
        cookies.require_csrf(request, field(fields, "csrf"))
        session, user = signed_in(request, provider)
        next_path, account = own_path(field(fields, "next")), field(fields, "account") or None
        if account == session.account:
            return chosen(request, session, next_path)
        acting = provider.admission.accounts.acting(user, account)
        sessions = provider.administration.sessions
        cookie = sessions.switch(
            request.cookies.get(cookies.SESSION, ""), None if acting is None else acting.id
        )
        found = sessions.find(cookie)
        response = go(next_path) if found is None else chosen(request, found[0], next_path)
        cookies.set_cookie(response, cookies.SESSION, cookie)
        return response

    def chosen(request: Request, session: Session, next_path: str) -> Response:
        old = next_path.removeprefix(f"{CONTINUE}/")
        cookie = request.cookies.get(flow.COOKIE + old, "")
        new, cookie = provider.endpoints.authorization.choose(old, cookie, session)
        response = go(f"{CONTINUE}/{new}")
        cookies.set_cookie(response, flow.COOKIE + new, cookie)
        cookies.clear_cookie(response, flow.COOKIE + old)
        return response


def _contacts(provider: Provider, client_id: str) -> tuple[str, ...]:
    """Return whom people ask about an application (RFC 7591, 2: contacts)."""
    try:
        return provider.administration.clients.get(client_id).metadata.contacts
    except NotFound:
        return ()


def denied(next_path: str) -> str:
    """Return where the application hears that the person does not come."""
    return f"{next_path}{REFUSE}" if next_path.startswith(CONTINUE) else "/"


def _asked(scope: str, client: Client) -> list[str]:
    """Return what a client may be given of it, scopes of resource servers included."""
    return sorted(frozenset(scope.split()) & client.scopes - {scopes.OPENID})
