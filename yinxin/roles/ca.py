"""The authority: three listening sockets, and its key management centre unless that runs apart."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from contextlib import ExitStack

from core.jobs import JobRunner
from core.observe import configure_logging
from crl.ocsp.server import OCSPListener
from yinxin import app, server
from yinxin.auditing import export_runner
from yinxin.first_start import ensure_administrators
from yinxin.jobs import bulk_jobs, local_jobs, outward_jobs, periodic_jobs, registrar_jobs
from yinxin.organisations import ensure_rights
from yinxin.registrars import RegistrarDesk
from yinxin.roles.say import say, say_links
from yinxin.settings import Settings
from yinxin.state import State
from yinxin.tls import ServerTLS
from yinxin.wiring import Service, open_ground, open_service


def serve_authority(settings: Settings, state: State) -> None:
    """Serve until told to stop. Raises `Misconfigured` before anything listens."""
    with ExitStack() as stack:
        sockets = [
            stack.enter_context(server.bind(settings.server.listen_address, port))
            for port in (
                settings.server.https_port,
                settings.server.mutual_tls_port,
                settings.server.http_port,
            )
        ]
        ground = open_ground(settings, state)
        stack.callback(ground.close)
        configure_logging(settings.log.level, clock=ground.clock)
        service = open_service(ground)
        stack.callback(service.keystore.close)
        service.find_interrupted()
        service.ensure_delegates()
        contexts = (server.server_context(), server.server_context())

        def trust_issuers() -> None:
            write_trust(state, service)
            pem = [ssl.DER_cert_to_PEM_cert(one.certificate) for one in service.issuers.values()]
            server.require_client_certificates(contexts[1], "".join(pem))

        trust_issuers()
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
        for thread in (service.follower, service.revoked_sessions, service.provider.sender):
            thread.start()
            stack.callback(thread.stop)
        stack.callback(service.ocsp.close)

        jobs = JobRunner(
            ground.database, periodic_jobs(service), local_jobs(service, tls), clock=ground.clock
        )
        stack.callback(jobs.stop)
        stack.callback(service.exporter.close)
        exports = export_runner(ground.database, service.exporter, clock=ground.clock)
        stack.callback(exports.stop)
        bulk = JobRunner(ground.database, (), bulk_jobs(service), clock=ground.clock)
        stack.callback(bulk.stop)
        stack.callback(service.bulk.worker.stop)
        outward = JobRunner(ground.database, outward_jobs(service), clock=ground.clock)
        stack.callback(outward.stop)
        registrars = RegistrarDesk.assemble(service)
        # A thread of its own: a registration authority that hangs must not delay a CRL.
        rounds = JobRunner(
            ground.database, registrar_jobs(settings, registrars), clock=ground.clock
        )
        stack.callback(rounds.stop)
        listeners = (
            server.Listener(sockets[0], app.make_control_app(service), tls=contexts[0]),
            server.Listener(sockets[1], app.make_machine_app(service, registrars), tls=contexts[1]),
            server.Listener(
                sockets[2],
                app.make_revocation_app(service),
                ocsp=OCSPListener(service.ocsp, wait_seconds=server.HEAD_SECONDS),
            ),
        )

        def started() -> None:
            jobs.start()
            exports.start()
            bulk.start()
            outward.start()
            rounds.start()
            _announce(settings, state, links)

        server.run(listeners, started=started)
        exports.stop()
        service.exporter.finish()


def write_trust(state: State, service: Service) -> None:
    """Write the CA certificates in PEM, for people to copy."""
    state.trust_directory.mkdir(mode=0o755, exist_ok=True)
    for issuer in service.issuers.values():
        path = state.trust_directory / f"{issuer.name}.pem"
        pem = ssl.DER_cert_to_PEM_cert(issuer.certificate)
        if not path.exists() or path.read_text(encoding="ascii") != pem:
            temporary = path.with_suffix(".new")
            temporary.write_text(pem, encoding="ascii")
            temporary.replace(path)


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
