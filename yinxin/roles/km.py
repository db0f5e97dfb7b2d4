"""A key management centre of its own: officers on https, one authority on mutual TLS.

It has its own state, database, keystore, administrators and audit chain, and no key of an
authority. What it tells the authority is in `keystore.escrow.routes_authority`.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Self

import keystore.escrow.routes
import yinxin.health.routes
from authn.assembly import Provider
from core.audit_export import AuditExporter
from core.errors import Misconfigured
from core.jobs import Job, JobRunner
from core.observe import configure_logging
from keystore.escrow.routes_authority import make_authority_router
from keystore.registry import KeyStore
from yinxin import server
from yinxin.app_parts import (
    add_provider,
    add_routes,
    administration_routers,
    limited,
    new_app,
    surround,
)
from yinxin.audit_key import AuditKey
from yinxin.auditing import export_while_open, make_exporter
from yinxin.directory import OurDirectory
from yinxin.first_start import CENTRE_ADMINISTRATORS, ensure_administrators
from yinxin.health.beside import CENTRE_CHECKS, Beside
from yinxin.health.run import check_beside
from yinxin.health_routes import check_database, make_health_router
from yinxin.host_identity import HostIdentity, read_identity
from yinxin.jobs import common_jobs, key_jobs, purge_while_open
from yinxin.key_management import Centre
from yinxin.keys import open_keys
from yinxin.roles.beside import NoCertificateLogin, only
from yinxin.roles.say import say, say_links
from yinxin.settings import Settings
from yinxin.state import State
from yinxin.wiring import Ground, open_ground


@dataclass(frozen=True, slots=True)
class CentreService:
    """Everything of a key management centre."""

    ground: Ground
    keystore: KeyStore
    audit_key: AuditKey
    exporter: AuditExporter
    management: Centre
    provider: Provider

    @classmethod
    def open(cls, ground: Ground, keystore: KeyStore) -> Self:
        """Put it together, and make what the first start makes. Raises `Misconfigured`."""
        settings, database = ground.settings, ground.database
        audit_key = AuditKey.open(keystore)
        return cls(
            ground=ground,
            keystore=keystore,
            audit_key=audit_key,
            exporter=make_exporter(
                settings.audit, ground.audit, audit_key, hostname=settings.server.public_host
            ),
            management=Centre.assemble(
                settings.key_management,
                database,
                keystore=keystore,
                audit=ground.audit,
                clock=ground.clock,
            ),
            provider=Provider.assemble(
                settings.authn,
                database,
                ground.administration,
                keystore=keystore,
                directory=OurDirectory(ground.registration.organisations),
                verifier=NoCertificateLogin(),
                audit=ground.audit,
                clock=ground.clock,
            ),
        )


def serve_centre(settings: Settings, state: State) -> None:
    """Serve until told to stop. Raises `Misconfigured` before anything listens."""
    identity = read_identity(state)
    _require_settings(settings)
    with ExitStack() as stack:
        ports = (settings.server.https_port, settings.server.mutual_tls_port)
        sockets = [
            stack.enter_context(server.bind(settings.server.listen_address, port)) for port in ports
        ]
        ground = open_ground(settings, state)
        stack.callback(ground.close)
        configure_logging(settings.log.level, clock=ground.clock)
        keystore = open_keys(settings, state)
        stack.callback(keystore.close)
        service = CentreService.open(ground, keystore)
        contexts = (server.server_context(), server.server_context())
        for context in contexts:
            identity.load_into(context, keystore)
        server.require_client_certificates(contexts[1], identity.root_pem)
        links = ensure_administrators(ground.administration, CENTRE_ADMINISTRATORS)
        exports = export_while_open(stack, ground.database, service.exporter, clock=ground.clock)
        jobs = JobRunner(
            ground.database, periodic_jobs(service), key_jobs(service.provider), clock=ground.clock
        )
        stack.callback(jobs.stop)
        purging = purge_while_open(stack, ground)
        stack.callback(service.provider.outbound.close)
        service.provider.sender.start()
        stack.callback(service.provider.sender.stop)
        listeners = (
            server.Listener(
                sockets[0],
                make_officers_app(service),
                tls=contexts[0],
                headers=settings.server.https_headers,
            ),
            server.Listener(sockets[1], make_authority_app(service), tls=contexts[1]),
        )

        def started() -> None:
            jobs.start()
            purging.start()
            exports.start()
            _announce(settings, state, identity)
            say_links(settings, state, links)
            say("")
            say("Ready. Ctrl-C stops.")

        server.run(listeners, started=started)


def periodic_jobs(service: CentreService) -> tuple[Job, ...]:
    """Return what a key management centre does by itself."""
    ground = service.ground
    refill_seconds = ground.settings.key_management.refill_seconds
    return (
        Job("km-refill", refill_seconds, service.management.centre.refill),
        *common_jobs(ground, service.provider),
    )


def make_officers_app(service: CentreService) -> Any:
    """API, login and pages for the officers of the centre."""
    app = new_app("Yinxin key management centre")
    management = service.management
    add_routes(
        app,
        make_health_router(lambda: [check_database(service.ground)], service.exporter),
        yinxin.health.routes.make_router(
            lambda: check_beside(Beside(service.ground, service.keystore), CENTRE_CHECKS)
        ),
        keystore.escrow.routes.make_router(management.centre, management.recoveries),
        *administration_routers(service.ground, service.provider, service.audit_key),
    )
    add_provider(app, service.ground, service.provider)
    return surround(app, service.ground, service.provider)


def make_authority_app(service: CentreService) -> Any:
    """What the authority calls, and nobody else."""
    app = new_app("Yinxin key management centre, for the authority")
    keys = frozenset(service.ground.settings.key_management.authority_keys)
    management = service.management
    app.include_router(
        make_authority_router(
            management.centre,
            management.recoveries,
            require_authority=only(keys, what="the authority of this key management centre"),
        )
    )
    return limited(app, service.ground)


def _require_settings(settings: Settings) -> None:
    if settings.key_management.url is not None:
        raise Misconfigured("key_management.url is the authority's setting, not the centre's")
    if not settings.key_management.authority_keys:
        raise Misconfigured(
            "key_management.authority_keys is empty, so nobody could ask for keys: write there "
            "what `yinxin host key` prints at the authority"
        )


def _announce(settings: Settings, state: State, identity: HostIdentity) -> None:
    host = settings.server
    say(f"Yinxin key management centre serves from {state.directory}")
    say(f"  officers: API, login, pages   {settings.authn.issuer}")
    say(f"  the authority, mutual TLS     https://{host.public_host}:{host.mutual_tls_port}")
    say(f"  its certificate is valid until {identity.not_after:%Y-%m-%d}")
