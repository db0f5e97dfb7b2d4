"""A process of the authority beside the first: it answers https and mutual TLS, and no more.

What is there once is done by the first (`yinxin.roles.ca`): migrations, first start, jobs, OCSP,
the queue of logout messages, the end of sessions with their certificate, our own certificates.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, closing

from ca.issuer import Issuer
from core.jobs import JobRunner
from core.observe import configure_logging
from yinxin import app, server
from yinxin.health_routes import check_authority
from yinxin.jobs import following_jobs
from yinxin.local_status import KeptCopy
from yinxin.nodes import OCSPNodes
from yinxin.registrars import RegistrarDesk
from yinxin.self_signed_clients import SelfSignedClients
from yinxin.settings import Settings
from yinxin.siblings import Siblings
from yinxin.state import State
from yinxin.tls import ServerTLS
from yinxin.tls_trust import pem_of
from yinxin.wiring import Service, open_ground, open_service


def serve_further(settings: Settings, state: State, siblings: Siblings, place: int) -> None:
    """Answer until told to stop; `place`: among all, from 1. Raises what opening raises."""
    siblings.leave(place)  # until it answers again, the others wait for nobody
    siblings.wait_to_begin()
    with ExitStack() as stack:
        ground = open_ground(settings, state, prepared=True)
        stack.callback(ground.close)
        configure_logging(settings.log.level, clock=ground.clock)
        service = open_service(ground)
        stack.callback(service.keystore.close)
        stack.callback(service.provider.outbound.close)

        def trust_issuers(issuers: Mapping[str, Issuer]) -> None:
            server.require_client_certificates(siblings.contexts[1], pem_of(issuers))

        service.issuers.listen(trust_issuers)
        tls = ServerTLS(service, siblings.contexts[:1], follows=True)
        tls.renew()
        service.link.follows = True
        service.link.serve_in(siblings.contexts[1])
        clients = SelfSignedClients(ground.administration.clients, siblings.contexts[1])
        jobs = JobRunner(
            ground.database, (), following_jobs(service, tls, clients), clock=ground.clock
        )
        stack.callback(jobs.stop)
        kept = stack.enter_context(closing(KeptCopy.open(service)))
        listeners = _listeners(service, kept, siblings, place)

        def started() -> None:
            jobs.start()
            siblings.answer(place)

        server.run(listeners, started=started)


def _listeners(
    service: Service, kept: KeptCopy, siblings: Siblings, place: int
) -> tuple[server.Listener, ...]:
    nodes = OCSPNodes(service)

    def checks() -> list[tuple[str, str | None]]:
        return [*check_authority(service), ("status-log", kept.fault() or nodes.fault())]

    api = app.make_api(service, checks)
    control = app.make_control_app(service, kept.status_now(), api)
    machines = app.make_machine_app(service, RegistrarDesk.assemble(service), nodes, api)
    return siblings.listeners(control, machines, place=place)
