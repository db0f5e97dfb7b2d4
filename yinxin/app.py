"""The applications behind the authority's listeners: control plane, machines' API, revocation."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request

import ca.routes
import ca.routes_bulk
import ca.routes_exchange
import ca.routes_massrevocation
import ca.routes_notices
import ca.routes_profiles
import ca.routes_registration
import crl.routes
import crl.routes_publication
import keystore.escrow.routes
import yinxin.health.routes
from ca.registrars import Registrar
from core.http import client_certificate
from yinxin.app_parts import add_administration, add_provider, limited, new_app, surround
from yinxin.health.run import check_health
from yinxin.health_routes import check_authority, make_health_router
from yinxin.registrars import RegistrarDesk
from yinxin.wiring import Service


def make_control_app(service: Service) -> Any:
    """API, OpenID provider and pages, for the https listener."""
    app = new_app("Yinxin")
    _add_api(app, service)
    add_provider(app, service.ground, service.provider)
    return surround(app, service.ground, service.provider)


def make_machine_app(service: Service, registrars: RegistrarDesk) -> Any:
    """The API and the registrars' counter, for the listener that requires client certificates."""

    def require_registrar(request: Request) -> Registrar:
        return registrars.require(client_certificate(request))

    app = new_app("Yinxin for machines")
    _add_api(app, service)
    app.include_router(
        ca.routes_exchange.make_counter_router(
            registrars.counter, require_registrar=require_registrar
        )
    )
    return surround(app, service.ground, service.provider)


def make_revocation_app(service: Service) -> Any:
    """OCSP, CRLs and CA certificates, for the plain http listener. Open to everybody."""
    app = new_app("Yinxin revocation")
    app.include_router(make_health_router(lambda: check_authority(service), service.exporter))
    app.include_router(
        crl.routes.make_router(
            service.responder,
            service.crls,
            service.issuers,
            config=service.ground.settings.revocation,
            clock=service.ground.clock,
        )
    )
    return limited(app, service.ground)


def _add_api(app: FastAPI, service: Service) -> None:
    ground = service.ground
    app.include_router(make_health_router(lambda: check_authority(service), service.exporter))
    app.include_router(
        ca.routes.make_router(
            service.operations.enrollment,
            service.authority.store,
            service.key_management.pairs,
            service.operations.desks,
            service.issuers,
            organisations=ground.registration.organisations,
            subjects=service.subjects,
            rights=ground.registration.rights,
            config=ground.settings.ca,
            clock=ground.clock,
        )
    )
    app.include_router(ca.routes_profiles.make_router(service.profiles.changes))
    app.include_router(
        ca.routes_massrevocation.make_router(service.mass_revocations, ground.registration.rights)
    )
    app.include_router(
        ca.routes_registration.make_registration_router(
            ground.registration.organisations,
            service.subjects,
            rights=ground.registration.rights,
            changes=ground.registration.changes,
            reviews=service.reviews,
            statistics=service.statistics,
            clock=ground.clock,
        )
    )
    app.include_router(ca.routes_bulk.make_router(service.bulk.service, ground.registration.rights))
    app.include_router(ca.routes_notices.make_router(service.notices, ground.registration.rights))
    app.include_router(crl.routes_publication.make_router(service.publication))
    local, remote = service.key_management.local, service.key_management.remote
    if local is not None:
        app.include_router(keystore.escrow.routes.make_router(local.centre, local.recoveries))
    if remote is not None:
        app.include_router(keystore.escrow.routes.make_holders_router(remote))
    app.include_router(yinxin.health.routes.make_router(lambda: check_health(service)))
    add_administration(app, ground, service.provider, service.audit_key)
