"""An OCSP node of its own: answers, CRLs and CA certificates, beside one authority.

It follows the authority's database, which may be a replica and only readable, and goes on from its
own store without it. It has no key of an authority: its responders' keys are its own, and the
authority certifies them over mutual TLS.
"""

from __future__ import annotations

import logging
from base64 import b64decode, b64encode
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from ca.sqlissuers import SQLIssuerStore
from ca.sqlstatuslog import SQLStatusLog
from ca.store import Outside
from core.clock import SystemClock
from core.db import Database, open_database
from core.errors import Forbidden, Malformed, Misconfigured, TrustError, Unavailable
from core.http import BodyLimit, RequestId
from core.jobs import Job, JobRunner
from core.observe import configure_logging
from core.peer import Peer
from crl import routes_nodes
from crl.copies import CRLCopies
from crl.ocsp import upkeep
from crl.ocsp.follow import OtherHistory
from crl.ocsp.keeper import Keeper
from crl.ocsp.layout import KnownIssuer
from crl.ocsp.noderesponders import NodeResponders
from crl.routes import make_router
from crl.sqlstore import SQLCRLStore
from keystore.registry import KeyStore
from yinxin import server
from yinxin.app_parts import new_app
from yinxin.health_routes import make_health_router
from yinxin.host_identity import read_identity
from yinxin.keys import open_keys
from yinxin.plain import bind_plain, plain_listener, signing_for_workers
from yinxin.roles.say import say
from yinxin.settings import Settings
from yinxin.state import State

log = logging.getLogger(__name__)

_COPY_SECONDS = 2
_RENEW_SECONDS = 30
_LOOPBACK = frozenset({"127.0.0.1", "::1", "::ffff:127.0.0.1"})


@dataclass(frozen=True, slots=True)
class Node:
    """Everything of a node."""

    database: Database
    keeper: Keeper
    responders: NodeResponders
    copies: CRLCopies
    authority: Peer

    def copy_if_there(self) -> None:
        """Copy, or leave it: how long the database was away is what readiness says."""
        with suppress(Unavailable):
            self.copy()

    def copy(self) -> None:
        """Copy issuers and CRLs from the database. Raises `Unavailable`."""
        self.keeper.keep_issuers(read_issuers(self.database))
        self.copies.refresh([one.name for one in self.keeper.store.parties.issuers()])

    def renew(self) -> None:
        """Renew the responders that are due, and tell the authority where we are."""
        self.responders.renew(self.keeper.store.parties.issuers())
        place = self.keeper.store.place()
        if place is None:
            return
        try:
            body = {"position": place.position, "mark": place.mark}
            self.authority.post(routes_nodes.PLACE, body, repeatable=True)
        except TrustError as error:
            log.warning("the authority was not reached", extra={"reason": str(error)})

    def checks(self) -> list[tuple[str, str | None]]:
        """Name what is looked at, and what is wrong with it."""
        found = [("status-log", self.keeper.fault())]
        now = self.keeper.clock.now()
        for issuer in self.keeper.store.parties.issuers():
            try:
                self.responders.current(issuer, now)
                found.append((f"responder/{issuer.name}", None))
            except TrustError as error:
                found.append((f"responder/{issuer.name}", str(error)))
        return found


def serve_node(settings: Settings, state: State) -> None:
    """Serve until told to stop. Raises `Misconfigured` before anything listens."""
    identity = read_identity(state)
    if settings.database.url is None:
        raise Misconfigured("database.url is needed: the authority's database, or a replica of it")
    with ExitStack() as stack:
        plain = bind_plain(settings)
        clock = SystemClock()
        configure_logging(settings.log.level, clock=clock)
        database = stack.enter_context(closing(open_database(settings.database.url)))
        keystore = stack.enter_context(closing(open_keys(settings, state)))
        context = identity.client_context(keystore)
        authority = _authority(settings, lambda: context)
        keeper, responders = _open(settings, state, database, keystore, authority)
        stack.callback(keeper.close)
        copies = CRLCopies(state.directory / "crls", SQLCRLStore(database))
        node = Node(database, keeper, responders, copies, authority)
        _catch_up(node)
        keeper.follower.start()
        jobs = JobRunner(
            database,
            (),
            (
                Job("copy", _COPY_SECONDS, node.copy_if_there),
                Job("renew", _RENEW_SECONDS, node.renew),
                Job("ocsp-upkeep", upkeep.EVERY_SECONDS, keeper.upkeep.run),
            ),
            clock=clock,
        )
        stack.callback(jobs.stop)
        plane = keeper.plane()
        listener = plain_listener(plain, _make_app(node, plane, settings), plane, state)

        def started() -> None:
            jobs.start()
            say(f"Yinxin OCSP node serves from {state.directory}")
            say(f"  OCSP, CRLs, CA certificates   {settings.ca.revocation_url}")
            say(f"  its certificate is valid until {identity.not_after:%Y-%m-%d}")
            say("Ready. Ctrl-C stops.")

        server.run(
            (listener,), started=started, beside=signing_for_workers(settings, keeper, state)
        )


def read_issuers(database: Database) -> list[KnownIssuer]:
    """Return the issuers that the database has, with what is above them. Raises `Unavailable`."""
    store = SQLIssuerStore(database)
    outside = store.list_outside()
    known: dict[str, KnownIssuer] = {}
    for record in store.list_issuers():
        around = outside.get(record.name, Outside())
        chain, crosses = around.above, around.crosses
        if record.parent is not None:
            parent = known[record.parent]
            chain = (parent.certificate, *parent.chain)
            crosses = (*crosses, *parent.crosses)
        known[record.name] = KnownIssuer(record.name, 0, record.certificate, chain, crosses)
    return list(known.values())


def _authority(settings: Settings, context: Any) -> Peer:
    config = settings.ocsp_node
    if config.authority_url is None or not config.authority_keys:
        raise Misconfigured(
            "ocsp_node.authority_url and ocsp_node.authority_keys are needed: where the authority "
            "is, and what `yinxin host key` prints there"
        )
    return Peer(
        config.authority_url,
        name="the certificate authority",
        keys=frozenset(config.authority_keys),
        context=context,
        timeout_seconds=config.timeout_seconds,
    )


def _open(
    settings: Settings, state: State, database: Database, keystore: KeyStore, authority: Peer
) -> tuple[Keeper, NodeResponders]:
    clock = SystemClock()

    def certify(issuer: str, request: bytes) -> bytes:
        body = {"issuer": issuer, "request": b64encode(request).decode("ascii")}
        answer = authority.post(routes_nodes.RESPONDER, body, repeatable=False)
        try:
            return b64decode(answer["certificate"], validate=True)
        except (KeyError, TypeError, ValueError) as error:
            raise Malformed("the authority answered with no certificate") from error

    store = Keeper.open_store(state.directory, config=settings.revocation.ocsp)
    responders = NodeResponders(
        state.directory / "responders.json",
        store,
        keystore,
        certify,
        config=settings.revocation.ocsp,
        clock=clock,
    )
    keeper = Keeper.open(
        state.directory,
        store=store,
        status_log=SQLStatusLog(database),
        delegates=responders,
        config=settings.revocation.ocsp,
        clock=clock,
    )
    return keeper, responders


def _catch_up(node: Node) -> None:
    """Come to the end of the log before anybody is answered; without the database, go on."""
    try:
        node.copy()
        node.keeper.follower.follow()
        node.renew()
    except OtherHistory as error:
        log.error("the database is not followed", extra={"reason": str(error)})  # noqa: TRY400
    except Unavailable as error:
        if not node.keeper.store.is_complete():
            raise Misconfigured(
                f"the first start of a node needs the authority's database: {error}"
            ) from error
        log.warning("the database is away; answering from the store")


def _make_app(node: Node, plane: Any, settings: Settings) -> Any:
    app = new_app("Yinxin OCSP node")
    app.include_router(make_health_router(node.checks, None))
    app.include_router(
        make_router(
            plane,
            node.copies,
            node.keeper.issuers,
            config=settings.revocation,
            clock=node.keeper.clock,
        )
    )

    @app.get("/metrics", include_in_schema=False)
    def metrics(request: Request) -> Response:
        # A node has no administrators to log in; who is on the host may look.
        if request.client is None or request.client.host not in _LOOPBACK:
            raise Forbidden("metrics of a node are for callers on the same host")
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return RequestId(BodyLimit(app, octets=settings.server.max_request_octets))
