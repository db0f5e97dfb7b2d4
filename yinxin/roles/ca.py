"""The authority: three listening sockets, and its key management centre unless that runs apart.

With `server.processes`, this is the first of its processes (`yinxin.roles.further`).
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Mapping
from contextlib import ExitStack, closing

from ca.issuer import Issuer
from core.jobs import Job, JobRunner
from core.observe import configure_logging
from crl.ocsp.keeper import Keeper
from yinxin import app, server
from yinxin.auditing import export_while_open
from yinxin.database import warn_of_few_connections
from yinxin.first_start import ensure_administrators
from yinxin.health_routes import check_authority
from yinxin.jobs import (
    bulk_jobs,
    local_jobs,
    outward_jobs,
    periodic_jobs,
    purge_while_open,
    registrar_jobs,
)
from yinxin.local_status import ask_keeper, open_keeper, require_same_history
from yinxin.nodes import OCSPNodes
from yinxin.organisations import ensure_rights
from yinxin.plain import plain_listener, signing_for_workers
from yinxin.registrars import RegistrarDesk
from yinxin.roles.say import say, say_links
from yinxin.self_signed_clients import SelfSignedClients
from yinxin.settings import Settings
from yinxin.siblings import Siblings
from yinxin.state import State
from yinxin.tls import ServerTLS
from yinxin.tls_trust import pem_of
from yinxin.wiring import Service, open_ground, open_service


def serve_authority(settings: Settings, state: State, siblings: Siblings) -> None:
    """Serve until told to stop. Raises `Misconfigured` before anything listens."""
    siblings.leave(0)
    with ExitStack() as stack:
        again, contexts = siblings.begun, siblings.contexts
        ground = open_ground(settings, state)
        stack.callback(ground.close)
        configure_logging(settings.log.level, clock=ground.clock)
        warn_of_few_connections(ground.database, processes=settings.server.processes)
        require_same_history(ground)
        service = open_service(ground)
        stack.callback(service.keystore.close)
        if not again:  # else the others are issuing, and a job looks later
            service.find_interrupted()
        service.ensure_delegates()

        def trust_issuers(issuers: Mapping[str, Issuer]) -> None:
            write_trust(state, issuers)
            server.require_client_certificates(contexts[1], pem_of(issuers))

        service.issuers.listen(trust_issuers)
        tls = ServerTLS(service, contexts[:1])
        tls.renew()
        service.link.serve_in(contexts[1])
        links = ensure_administrators(ground.administration)
        ensure_rights(
            ground.registration,
            ground.administration.users,
            ground.database,
            organization=settings.first_start.organization,
        )
        exports = export_while_open(stack, ground.database, service.exporter, clock=ground.clock)
        keeper = stack.enter_context(closing(open_keeper(service)))
        stack.callback(service.provider.outbound.close)
        for thread in (service.revoked_sessions, service.provider.sender):
            thread.start()
            stack.callback(thread.stop)

        registrars = RegistrarDesk.assemble(service)
        clients = SelfSignedClients(ground.administration.clients, contexts[1])
        runners = _runners(service, registrars, local_jobs(service, keeper, tls, clients))
        for runner in runners:
            stack.callback(runner.stop)
        stack.callback(service.bulk.worker.stop)
        purging = purge_while_open(stack, ground)
        nodes = OCSPNodes(service)
        if not again:
            nodes.begin()
        listeners = _listeners(service, registrars, nodes, keeper, siblings)
        siblings.begin()

        def announce() -> None:
            siblings.wait_for_others()
            _announce(settings, state, links)

        def started() -> None:
            for runner in (exports, *runners, purging):
                runner.start()
            threading.Thread(target=announce, name="announce", daemon=True).start()

        beside = signing_for_workers(settings, keeper, state)
        server.run(listeners, started=started, beside=beside)


def write_trust(state: State, issuers: Mapping[str, Issuer]) -> None:
    """Write the CA certificates in PEM, for people to copy."""
    state.trust_directory.mkdir(mode=0o755, exist_ok=True)
    for issuer in issuers.values():
        path = state.trust_directory / f"{issuer.name}.pem"
        pem = ssl.DER_cert_to_PEM_cert(issuer.certificate)
        if not path.exists() or path.read_text(encoding="ascii") != pem:
            temporary = path.with_suffix(".new")
            temporary.write_text(pem, encoding="ascii")
            temporary.replace(path)


def _runners(
    service: Service, registrars: RegistrarDesk, local: tuple[Job, ...]
) -> list[JobRunner]:
    """Return what does the jobs; each in a thread of its own, so that none holds up another."""
    database, clock = service.ground.database, service.ground.clock
    away = registrar_jobs(service.ground.settings, registrars)
    return [
        JobRunner(database, periodic_jobs(service), local, clock=clock),
        JobRunner(database, (), bulk_jobs(service), clock=clock),
        JobRunner(database, outward_jobs(service), clock=clock),
        # A registration authority that hangs must not delay a CRL.
        JobRunner(database, away, clock=clock),
    ]


def _listeners(
    service: Service,
    registrars: RegistrarDesk,
    nodes: OCSPNodes,
    keeper: Keeper,
    siblings: Siblings,
) -> tuple[server.Listener, ...]:

    def checks() -> list[tuple[str, str | None]]:
        fault = keeper.fault() or nodes.fault()
        return [*check_authority(service), ("status-log", fault)]

    plane, api = keeper.plane(), app.make_api(service, checks)
    machines = app.make_machine_app(service, registrars, nodes, api)
    revocation = app.make_revocation_app(service, plane, checks)
    control = app.make_control_app(service, ask_keeper(service, keeper), api)
    return (
        *siblings.listeners(control, machines, place=0),
        plain_listener(siblings.plain, revocation, plane, service.ground.state),
    )


def _announce(settings: Settings, state: State, links: Mapping[str, str]) -> None:
    host = settings.server
    say(f"Yinxin serves from {state.directory}")
    say(f"  control plane, OpenID provider, pages   {settings.authn.issuer}")
    say(
        "  API for callers with a certificate      "
        f"https://{host.public_host}:{host.mutual_tls_port}"
    )
    say(f"  OCSP, CRLs, CA certificates             {settings.ca.revocation_url}")
    say(f"  roots to trust                          {state.trust_directory}")
    say_links(settings, state, links)
    say("")
    say("Ready. Ctrl-C stops.")
