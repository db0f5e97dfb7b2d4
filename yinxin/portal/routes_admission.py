"""Between a person and an application: may they enter, and do they agree."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from authn import cookies
from authn.access import Refusal
from authn.assembly import Provider
from authn.forms import field
from authn.oidc import scopes
from authn.oidc.authorize import CONTINUE, REFUSE
from core.errors import Malformed
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
        next_path = own_path(query.get("next", ""))
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
            application=application_name(provider, query.get("client", "")[:64]),
            reason=reason,
            next_path=next_path,
            denied=denied(next_path),
            **account_choices(provider, user),
        )

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
            scope=sorted(_asked(query.get("scope", "")) & client.scopes),
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
        scope = " ".join(sorted(_asked(field(fields, "scope")) & client.scopes))
        provider.admission.consents.give(session, user, client.id, scope)
        return go(next_path)


def denied(next_path: str) -> str:
    """Return where the application hears that the person does not come."""
    return f"{next_path}{REFUSE}" if next_path.startswith(CONTINUE) else "/"


def _asked(scope: str) -> frozenset[str]:
    return frozenset(scope.split()) & scopes.ABOUT_PEOPLE
