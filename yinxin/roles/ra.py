"""A registration authority of its own: operators on https, one certificate authority beside it.

It has its own state, database, operators and audit chain, and no key of an authority. It brings
its acts to the authority (`registration.authority_url`), or has them fetched on mutual TLS.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack
from typing import Any

from fastapi import APIRouter

import ca.routes_bulk
import yinxin.health.routes
from ca.asking import PARTS, ask
from ca.desk_pickup import DeskPickup
from ca.exchange import bring
from ca.pickup import PickupDesk
from ca.routes_desk import make_desk_router
from ca.routes_desk_pickup import make_desk_pickup_router
from ca.routes_exchange import make_outbox_router
from ca.sqldesk import SQLDeskStore
from ca.sqlpickup import SQLPickupStore
from core.errors import Misconfigured, TrustError
from core.jobs import Job, JobRunner
from core.observe import configure_logging
from core.peer import Peer
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
from yinxin.auditing import export_while_open
from yinxin.console.queues import DESK
from yinxin.console.routes import add_console
from yinxin.deskservice import DeskService
from yinxin.first_start import ensure_administrators
from yinxin.health.beside import DESK_CHECKS, Beside
from yinxin.health.run import check_beside
from yinxin.health_routes import check_database, make_health_router
from yinxin.host_identity import HostIdentity, read_identity
from yinxin.jobs import common_jobs, key_jobs, purge_while_open
from yinxin.keys import open_keys
from yinxin.operations import address_throttle
from yinxin.roles.beside import only
from yinxin.roles.say import say, say_links
from yinxin.settings import Settings
from yinxin.state import State
from yinxin.wiring import open_ground

log = logging.getLogger(__name__)


def serve_desk(settings: Settings, state: State) -> None:
    """Serve until told to stop. Raises `Misconfigured` before anything listens."""
    identity = read_identity(state)
    _require_settings(settings)
    with ExitStack() as stack:
        pulled = settings.registration.authority_url is None
        ports = (settings.server.https_port, settings.server.mutual_tls_port)[: 1 + pulled]
        sockets = [
            stack.enter_context(server.bind(settings.server.listen_address, port)) for port in ports
        ]
        ground = open_ground(settings, state)
        stack.callback(ground.close)
        configure_logging(settings.log.level, clock=ground.clock)
        keystore = open_keys(settings, state)
        stack.callback(keystore.close)
        service = DeskService.open(ground, keystore)
        contexts = tuple(server.server_context() for _ in sockets)
        for context in contexts:
            identity.load_into(context, keystore)
        links = ensure_administrators(ground.administration)
        exports = export_while_open(stack, ground.database, service.exporter, clock=ground.clock)
        jobs = JobRunner(
            ground.database,
            common_jobs(ground, service.provider),
            key_jobs(service.provider),
            clock=ground.clock,
        )
        stack.callback(jobs.stop)
        purging = purge_while_open(stack, ground)
        rounds = JobRunner(
            ground.database, _rounds(service, identity, keystore), clock=ground.clock
        )
        stack.callback(rounds.stop)
        batches = JobRunner(ground.database, (), _batches(service), clock=ground.clock)
        stack.callback(batches.stop)
        stack.callback(service.bulk.worker.stop)
        stack.callback(service.provider.outbound.close)
        service.provider.sender.start()
        stack.callback(service.provider.sender.stop)
        listeners = [
            server.Listener(
                sockets[0],
                make_operators_app(service),
                tls=contexts[0],
                headers=settings.server.https_headers,
            )
        ]
        if pulled:
            server.require_client_certificates(contexts[1], identity.root_pem)
            listeners.append(server.Listener(sockets[1], make_outbox_app(service), tls=contexts[1]))

        def started() -> None:
            jobs.start()
            purging.start()
            rounds.start()
            batches.start()
            exports.start()
            _announce(settings, state, identity)
            say_links(settings, state, links)
            say("")
            say("Ready. Ctrl-C stops.")

        server.run(tuple(listeners), started=started)


def make_operators_app(service: DeskService) -> Any:
    """API, login and pages for the operators of the branch."""
    app = new_app("Yinxin registration authority")
    registration = service.ground.registration
    add_routes(
        app,
        make_health_router(lambda: [check_database(service.ground)], service.exporter),
        yinxin.health.routes.make_router(
            lambda: check_beside(Beside(service.ground, service.keystore), DESK_CHECKS)
        ),
        make_desk_router(
            service.desk,
            registration.organisations,
            registration.rights,
            registration.changes,
            issuers=service.ground.settings.registration.issuers,
            clock=service.ground.clock,
        ),
        _pickups(service),
        ca.routes_bulk.make_router(service.bulk.service, registration.rights, service.asking),
        *administration_routers(service.ground, service.provider, service.audit_key),
    )
    add_provider(app, service.ground, service.provider)
    add_console(app, clock=service.ground.clock, queue=DESK)
    return surround(app, service.ground, service.provider)


def _pickups(service: DeskService) -> APIRouter:
    ground = service.ground
    settings, database = ground.settings, ground.database
    keys = DeskPickup(
        SQLDeskStore(database),
        profiles=service.desk.profiles,
        transactions=database,
        audit=ground.audit,
    )
    pickup = PickupDesk(
        SQLPickupStore(database),
        keys,
        throttle=address_throttle(settings.authn.login, database, clock=ground.clock),
        config=settings.ca.pickup,
        accept_empty_sm2_id=settings.ca.accept_empty_sm2_id,
        transactions=database,
        audit=ground.audit,
        clock=ground.clock,
    )
    return make_desk_pickup_router(service.desk, pickup, keys, ground.registration.rights)


def make_outbox_app(service: DeskService) -> Any:
    """What the authority calls, and nobody else."""
    app = new_app("Yinxin registration authority, for the authority")
    keys = frozenset(service.ground.settings.registration.authority_keys)
    only_authority = only(keys, what="the authority of this registration authority")
    app.include_router(
        make_outbox_router(service.desk, service.asking, service, require_authority=only_authority)
    )
    return limited(app, service.ground)


def _rounds(service: DeskService, identity: HostIdentity, keystore: KeyStore) -> tuple[Job, ...]:
    registration = service.ground.settings.registration
    if registration.authority_url is None:
        return ()
    context = identity.client_context(keystore)
    authority = Peer(
        registration.authority_url,
        name="the certificate authority",
        keys=frozenset(registration.authority_keys),
        context=lambda: context,
        timeout_seconds=registration.timeout_seconds,
    )

    def carry() -> None:
        try:
            # Acts have their turn between the parts of a long table.
            for _ in range(PARTS):
                bring(service.desk, authority, service)
                if not ask(service.asking, authority):
                    break
        except TrustError as error:
            log.warning("the authority was not reached", extra={"reason": str(error)})
            service.asking.not_asked(str(error))

    return (Job("exchange", registration.exchange_seconds, carry),)


def _batches(service: DeskService) -> tuple[Job, ...]:
    bulk = service.bulk
    return (Job("bulk", 1, bulk.worker.run), Job("bulk-erase", 600, bulk.service.erase_expired))


def _require_settings(settings: Settings) -> None:
    if not settings.registration.authority_keys:
        raise Misconfigured(
            "registration.authority_keys is empty, so no authority would be believed: write there "
            "what `yinxin host key` prints at the authority"
        )


def _announce(settings: Settings, state: State, identity: HostIdentity) -> None:
    host, authority = settings.server, settings.registration.authority_url
    say(f"Yinxin registration authority serves from {state.directory}")
    say(f"  operators: API, login, pages   {settings.authn.issuer}")
    if authority is None:
        say(f"  the authority, mutual TLS      https://{host.public_host}:{host.mutual_tls_port}")
    else:
        say(f"  brings its acts to             {authority}")
    say(f"  its certificate is valid until {identity.not_after:%Y-%m-%d}")
