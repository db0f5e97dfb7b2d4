"""What the applications of every role share: administration, login, OpenID and a frame."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI

import authn.oidc.routes
import authn.oidc.routes_clients
import authn.oidc.routes_keys
import authn.oidc.routes_registration
import authn.routes
import authn.routes_accounts
import authn.routes_logout
import authn.routes_sessions
import ca.routes_bulk
import yinxin.console.bulk
from authn.assembly import Provider
from authn.legacy.routes_cas import make_cas_router
from authn.legacy.routes_gate import make_gate_router
from authn.middleware import Authentication
from core.direct import DirectRoutes, plain_routes
from core.http import BodyLimit, RequestId, install_problem_handlers
from yinxin import audit_routes, control_routes
from yinxin.audit_key import AuditKey
from yinxin.console.session import ConsoleSession
from yinxin.exact_paths import ExactPaths
from yinxin.health_routes import make_metrics_router
from yinxin.portal.page_route import make_page_route
from yinxin.portal.pages import PortalPages
from yinxin.portal.routes import make_router as make_portal_router
from yinxin.portal.routes_certificates import OwnDesk
from yinxin.wiring import Ground


def new_app(title: str) -> FastAPI:
    """Make an application that translates every error."""
    # Swagger's pages load scripts from other hosts; the document itself is enough.
    app = FastAPI(
        title=title,
        version=version("yinxin"),
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        redirect_slashes=False,
    )
    install_problem_handlers(app)
    return app


def add_routes(app: FastAPI, *routers: APIRouter) -> None:
    """Add routers as they are.

    `include_router` would read every route again, and match routers one by one on each request.
    """
    for router in routers:
        app.router.routes.extend(router.routes)


def administration_routers(
    ground: Ground, provider: Provider, audit_key: AuditKey
) -> tuple[APIRouter, ...]:
    """Return the API of audit, proposals, clients, users and bindings."""
    administration = provider.administration
    return (
        make_metrics_router(),
        audit_routes.make_router(ground.audit, audit_key),
        control_routes.make_router(ground.control),
        authn.routes.make_client_api(administration.clients),
        authn.oidc.routes_keys.make_signing_key_api(provider.ring),
        authn.oidc.routes_registration.make_initial_token_api(provider.endpoints.initial_tokens),
        authn.routes.make_user_api(
            administration.users,
            administration.roles,
            administration.factor_reset,
            issuer=ground.settings.authn.issuer,
        ),
        authn.routes_sessions.make_session_api(administration.sessions, administration.users),
        authn.routes_logout.make_logout_api(provider.backlog, administration.clients),
        authn.routes_accounts.make_account_api(
            provider.admission, administration.users, administration.clients, provider.trials
        ),
        authn.routes.make_binding_api(
            provider.certificates, administration.users, administration.roles
        ),
    )


def add_provider(
    app: FastAPI,
    ground: Ground,
    provider: Provider,
    *,
    mutual_tls: str | None = None,
    own: OwnDesk | None = None,
) -> None:
    """Add the OpenID provider, its pages, and the certificate login.

    `mutual_tls` is the origin where clients may call with a certificate, if there is one. `own`:
    people's certificates, where this process has them.
    """
    pages, issuer = PortalPages(certificates=own is not None), ground.settings.authn.issuer
    page_route, sessions = make_page_route(pages), provider.administration.sessions
    add_routes(
        app,
        authn.oidc.routes.make_document_router(
            provider.issuers, provider.endpoints.tokens.grant_types, mutual_tls=mutual_tls
        ),
        authn.oidc.routes_clients.make_client_router(provider.endpoints, origin=issuer),
        authn.oidc.routes_registration.make_registration_router(provider.endpoints.registration),
        authn.oidc.routes.make_authorization_router(
            provider.endpoints.authorization, sessions, pages, provider.endpoints.carrier
        ),
        authn.oidc.routes.make_logout_router(provider.logout, sessions, pages),
        authn.routes.make_certificate_login_api(provider.certificates, sessions),
        make_cas_router(provider.entry, sessions, provider.logout, pages, page_route=page_route),
        make_gate_router(
            provider.gate, provider.entry, sessions, issuer=issuer, page_route=page_route
        ),
        make_portal_router(provider, pages, own),
    )


def surround(app: FastAPI, ground: Ground, provider: Provider) -> Any:
    """Put authentication, the limit of bodies and the request id around an application.

    Its routes are complete now.
    """
    app.router.routes.insert(0, ExactPaths(app.routes))
    administration, settings = provider.administration, ground.settings
    # Who asks is found out before the body is read: only who is known may send a long file.
    body_limited = BodyLimit(
        DirectRoutes(app),
        octets=settings.server.max_request_octets,
        larger={
            ca.routes_bulk.PATH: settings.bulk.max_file_octets,
            # The same file in a form, among its other fields.
            yinxin.console.bulk.HERE: settings.bulk.max_file_octets
            + settings.server.max_request_octets,
        },
    )
    authenticated = Authentication(
        ConsoleSession(body_limited, administration.sessions),
        api_tokens=administration.api_tokens,
        access_tokens=administration.access_tokens,
        certificates=provider.certificates,
    )
    return RequestId(
        authenticated, plain_routes(app, octets=ground.settings.server.max_request_octets)
    )


def limited(app: Any, ground: Ground) -> Any:
    """Put the limit of bodies and the request id around an application."""
    return RequestId(BodyLimit(app, octets=ground.settings.server.max_request_octets))
