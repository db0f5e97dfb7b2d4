"""The applications behind the listeners: control plane, machines' API, revocation."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI

import authn.oidc.routes
import authn.routes
import ca.routes
import crl.routes
import keystore.escrow.routes
from authn.middleware import Authentication
from core.http import BodyLimit, RequestId, install_problem_handlers
from yinxin import audit_routes, control_routes
from yinxin.health_routes import make_health_router, make_metrics_router
from yinxin.portal.pages import PortalPages
from yinxin.portal.routes import make_router as make_portal_router
from yinxin.wiring import Service


def make_control_app(service: Service) -> Any:
    """API, OpenID provider and pages, for the https listener."""
    app = _new("Yinxin")
    _add_api(app, service)
    provider, pages = service.provider, PortalPages()
    issuer = service.ground.settings.authn.issuer
    app.include_router(authn.oidc.routes.make_document_router(issuer, provider.keys))
    app.include_router(
        authn.oidc.routes.make_client_router(provider.tokens, provider.administration.access_tokens)
    )
    app.include_router(
        authn.oidc.routes.make_authorization_router(
            provider.authorization, provider.administration.sessions, pages
        )
    )
    app.include_router(
        authn.oidc.routes.make_logout_router(
            provider.logout, provider.administration.sessions, pages
        )
    )
    app.include_router(
        authn.routes.make_certificate_login_api(
            provider.certificates, provider.administration.sessions
        )
    )
    app.include_router(make_portal_router(provider, pages))
    return _surround(app, service)


def make_machine_app(service: Service) -> Any:
    """The API alone, for the listener that requires client certificates."""
    app = _new("Yinxin for machines")
    _add_api(app, service)
    return _surround(app, service)


def make_revocation_app(service: Service) -> Any:
    """OCSP, CRLs and CA certificates, for the plain http listener. Open to everybody."""
    app = _new("Yinxin revocation")
    app.include_router(make_health_router(service))
    app.include_router(
        crl.routes.make_router(
            service.responder,
            service.crls,
            service.issuers,
            config=service.ground.settings.revocation,
            clock=service.ground.clock,
        )
    )
    return RequestId(BodyLimit(app, octets=service.ground.settings.server.max_request_octets))


def _new(title: str) -> FastAPI:
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


def _add_api(app: FastAPI, service: Service) -> None:
    ground, provider = service.ground, service.provider
    administration = provider.administration
    app.include_router(make_health_router(service))
    app.include_router(make_metrics_router())
    app.include_router(audit_routes.make_router(ground.audit, service.audit_key))
    app.include_router(control_routes.make_router(ground.control))
    app.include_router(
        ca.routes.make_router(
            service.enrollment,
            service.revocation,
            service.authority.store,
            service.key_management.pairs,
            organisations=ground.registration.organisations,
            rights=ground.registration.rights,
            reviews=service.reviews,
            config=ground.settings.ca,
            clock=ground.clock,
        )
    )
    app.include_router(
        keystore.escrow.routes.make_router(
            service.key_management.centre, service.key_management.recoveries
        )
    )
    app.include_router(authn.routes.make_client_api(administration.clients))
    app.include_router(
        authn.routes.make_user_api(administration.users, issuer=ground.settings.authn.issuer)
    )
    app.include_router(authn.routes.make_binding_api(provider.certificates, administration.users))


def _surround(app: FastAPI, service: Service) -> Any:
    administration = service.provider.administration
    authenticated = Authentication(
        app,
        api_tokens=administration.api_tokens,
        access_tokens=administration.access_tokens,
        certificates=service.provider.certificates,
    )
    limit = service.ground.settings.server.max_request_octets
    return RequestId(BodyLimit(authenticated, octets=limit))
