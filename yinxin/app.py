"""The applications behind the authority's listeners: control plane, machines' API, revocation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fastapi import APIRouter, Request

import authn.oidc.routes_clients
import ca.routes
import ca.routes_bulk
import ca.routes_exchange
import ca.routes_massrevocation
import ca.routes_notices
import ca.routes_profiles
import ca.routes_registration
import crl.routes
import crl.routes_nodes
import crl.routes_publication
import keystore.escrow.routes
import yinxin.health.routes
from ca.registrars import Registrar
from core.http import client_certificate
from crl.ocsp.plane import OCSPPlane
from yinxin.app_parts import (
    add_provider,
    add_routes,
    administration_routers,
    limited,
    new_app,
    surround,
)
from yinxin.ceremony_routes import make_ceremony_router
from yinxin.console.routes import add_console
from yinxin.console.statusnow import StatusNow
from yinxin.health.run import check_health
from yinxin.health_routes import Checks, make_health_router
from yinxin.nodes import OCSPNodes
from yinxin.portal.pages import PortalPages
from yinxin.portal.routes import make_static_router
from yinxin.portal.routes_certificates import OwnDesk
from yinxin.portal.routes_tls import make_tls_router
from yinxin.registrars import RegistrarDesk
from yinxin.revocation_status import make_revocation_status_router
from yinxin.settings_routes import make_settings_router
from yinxin.traffic_routes import make_traffic_router
from yinxin.wiring import Ground, Service


def make_control_app(service: Service, status_now: StatusNow, api: Sequence[APIRouter]) -> Any:
    """API, OpenID provider and pages, for the https listener."""
    app = new_app("Yinxin")
    add_routes(app, *api)
    desks = service.operations.desks
    add_provider(
        app,
        service.ground,
        service.provider,
        mutual_tls=mutual_tls_origin(service.ground),
        own=OwnDesk(desks.own, desks.pickup, desks.deliveries, service.enrollment.take_key),
    )
    add_console(app, clock=service.ground.clock, status_now=status_now)
    return surround(app, service.ground, service.provider)


def make_machine_app(
    service: Service, registrars: RegistrarDesk, nodes: OCSPNodes, api: Sequence[APIRouter]
) -> Any:
    """The API and the registrars' counter, for the listener that requires client certificates."""

    def require_registrar(request: Request) -> Registrar:
        return registrars.require(client_certificate(request))

    app = new_app("Yinxin for machines")
    add_routes(
        app,
        *api,
        # Here TLS asks for certificates, so people prove theirs here, too.
        make_tls_router(service.provider, PortalPages()),
        make_static_router(),
        authn.oidc.routes_clients.make_client_router(
            service.provider.endpoints, origin=mutual_tls_origin(service.ground)
        ),
        ca.routes_exchange.make_counter_router(
            registrars.counter, registrars.check, require_registrar=require_registrar
        ),
        crl.routes_nodes.make_node_router(nodes, require_node=nodes.require),
    )
    return surround(app, service.ground, service.provider)


def make_revocation_app(service: Service, plane: OCSPPlane, checks: Checks) -> Any:
    """OCSP, CRLs and CA certificates, for the plain http listener. Open to everybody."""
    app = new_app("Yinxin revocation")
    add_routes(
        app,
        make_health_router(checks, service.exporter),
        crl.routes.make_router(
            plane,
            service.crls,
            service.issuers,
            config=service.ground.settings.revocation,
            clock=service.ground.clock,
        ),
    )
    return limited(app, service.ground)


def make_api(service: Service, checks: Checks) -> tuple[APIRouter, ...]:
    """Make the API once, for both listeners: FastAPI takes half a second to read its routes."""
    ground = service.ground
    return (
        make_health_router(checks, service.exporter),
        *_registration_routers(service),
        crl.routes_publication.make_router(service.publication),
        *_escrow_routers(service),
        yinxin.health.routes.make_router(lambda: check_health(service)),
        make_traffic_router(service.traffic),
        make_revocation_status_router(service),
        make_settings_router(ground.settings),
        make_ceremony_router(ground.audit, service.audit_key),
        *administration_routers(ground, service.provider, service.audit_key),
    )


def _registration_routers(service: Service) -> tuple[APIRouter, ...]:
    ground = service.ground
    rights = ground.registration.rights
    return (
        ca.routes.make_router(
            service.operations.enrollment,
            service.authority.store,
            service.key_management.pairs,
            service.operations.desks,
            service.issuers,
            organisations=ground.registration.organisations,
            subjects=service.subjects,
            rights=rights,
            config=ground.settings.ca,
            clock=ground.clock,
        ),
        ca.routes_profiles.make_router(service.profiles.changes),
        ca.routes_massrevocation.make_router(service.mass_revocations, rights),
        ca.routes_registration.make_registration_router(
            ground.registration.organisations,
            service.subjects,
            rights=rights,
            changes=ground.registration.changes,
            reviews=service.reviews,
            statistics=service.statistics,
            overviews=service.overviews,
            clock=ground.clock,
        ),
        ca.routes_bulk.make_router(service.bulk.service, rights),
        ca.routes_notices.make_router(service.notices, rights),
    )


def _escrow_routers(service: Service) -> Iterator[APIRouter]:
    local, remote = service.key_management.local, service.key_management.remote
    if local is not None:
        yield keystore.escrow.routes.make_router(local.centre, local.recoveries)
    if remote is not None:
        yield keystore.escrow.routes.make_holders_router(remote)


def mutual_tls_origin(ground: Ground) -> str:
    """Return where callers are asked for a certificate, as they see it."""
    server = ground.settings.server
    return f"https://{server.public_host}:{server.mutual_tls_port}"
