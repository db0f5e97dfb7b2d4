"""How long until every application knows of a logout.

    PYTHONPATH=. .venv/bin/python -m benchmarks.logout 10000 50

Ends so many sessions, each entered by one of so many applications, and waits until every
application was posted its logout token. The queue, the signatures (ES256), the audit chain and
https are real; the applications are one server in a process of its own, on loopback. As many again
as a tenth of them are dead: they accept and never answer.
"""

# ruff: noqa: SLF001 - it measures what has no public name

from __future__ import annotations

import multiprocessing
import socket
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import uvicorn

from authn import opaque
from authn.administration import Administration
from authn.assembly import Provider
from authn.config import AuthnConfig
from authn.levels import PASSWORD
from authn.logout.store import Channel, Participation
from authn.oidc.clientmetadata import ClientMetadata
from authn.store import Session, User
from core.audit_sql import SQLAuditLog
from core.clock import SystemClock
from core.config import ControlConfig
from core.control import DualControl
from core.control_sql import SQLProposalStore
from core.db import metadata, open_database
from core.outbound import Answer, trusting
from tests.fakes.keys import MemoryKeyBackend
from tests.servers import localhost_certificate
from yinxin.roles.beside import NoCertificateLogin
from yinxin.schema import DECLARED_IN  # noqa: F401 - importing it declares the tables


def applications(sock: socket.socket, certificate: Path, pipe: Connection) -> None:
    """Count what is posted to each path."""
    counts: Counter[str] = Counter()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        if scope["path"] == "/counts":
            body = str(sum(counts.values())).encode()
        else:
            counts[scope["path"]] += 1
            body = b""
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-length", str(len(body)).encode())],
            }
        )
        await send({"type": "http.response.body", "body": body})

    config = uvicorn.Config(
        app, ssl_certfile=str(certificate), log_config=None, lifespan="off", access_log=False
    )
    pipe.send(True)
    uvicorn.Server(config).run(sockets=[sock])


def main(sessions: int, clients: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        certificate = localhost_certificate(directory)
        listening = [socket.create_server(("127.0.0.1", 0), backlog=512) for _ in range(2)]
        here, there = multiprocessing.Pipe()
        server = multiprocessing.Process(
            target=applications, args=(listening[0], certificate, there), daemon=True
        )
        server.start()
        here.recv()
        alive, silent = (one.getsockname()[1] for one in listening)
        config = AuthnConfig(
            issuer="https://ca.example.cn",
            secrets_key="memory:object=secrets",
            oidc={"signing_key": "memory:object={name}"},
            outbound={"allowed_networks": ["127.0.0.0/8"]},
        )
        provider = _provider(config, directory, certificate)
        users = provider.administration.users
        user = users.create_user("zhang.wei", display_name="z", actor="benchmark")
        dead = max(1, clients // 10)
        ids = [f"app-{number}" for number in range(clients + dead)]
        for number, client_id in enumerate(ids):
            port = alive if number < clients else silent
            provider.administration.clients.register(
                client_id,
                client_id=client_id,
                redirect_uris=["https://oa.example.cn/callback"],
                metadata=ClientMetadata(
                    backchannel_logout_uri=f"https://localhost:{port}/{client_id}"
                ),
                actor="benchmark",
            )
        places = [(one, alive if at < clients else silent) for at, one in enumerate(ids)]
        _enter(provider, user, sessions, places)
        _measure(provider, user, sessions, clients, dead)
        server.kill()


def _provider(config: AuthnConfig, directory: Path, certificate: Path) -> Provider:
    database, clock = open_database(f"sqlite:///{directory}/b.sqlite3"), SystemClock()
    metadata.create_all(database.engine)
    audit = SQLAuditLog(database, clock=clock)
    audit.initialise()
    control = DualControl(
        SQLProposalStore(database),
        config=ControlConfig(),
        transactions=database,
        audit=audit,
        clock=clock,
    )
    administration = Administration.assemble(
        config, database, control=control, audit=audit, clock=clock
    )
    text = certificate.read_text()
    return Provider.assemble(
        config,
        database,
        administration,
        keystore=MemoryKeyBackend(),
        directory=_NoDirectory(),
        verifier=NoCertificateLogin(),
        audit=audit,
        clock=clock,
        trust=trusting(config.outbound, text[: text.index("-----BEGIN PRIVATE KEY-----")]),
    )


class _NoDirectory:
    def find(self, _organisation: str) -> None:
        return None


def _enter(provider: Provider, user: User, sessions: int, places: list[tuple[str, int]]) -> None:
    """Write what logins would have written: sessions, and who takes part in them."""
    administration = provider.administration
    store, now = administration.sessions._store, provider.clock.now()
    database = administration.channels._store._database
    with database.transaction():
        for number in range(sessions):
            sid, (client_id, port) = str(uuid.uuid4()), places[number % len(places)]
            digest = opaque.draw().digest
            end = now + timedelta(hours=12)
            store.add(Session(digest, sid, user.id, now, now, end, "pwd", PASSWORD.level.acr))
            administration.channels.take_part(
                Participation(
                    sid=sid,
                    client_id=client_id,
                    ticket="",
                    channel=Channel.OIDC,
                    subject=user.id,
                    backchannel_uri=f"https://localhost:{port}/{client_id}",
                    frontchannel_uri=None,
                )
            )


def _measure(provider: Provider, user: User, sessions: int, clients: int, dead: int) -> None:
    expected = sum(1 for number in range(sessions) if number % (clients + dead) < clients)
    told = Counter[str]()
    caller: Any = provider.sender._caller
    post = caller.post_form

    def counted(url: str, fields: Mapping[str, str]) -> Answer:
        answer = post(url, fields)
        told["all"] += 1
        return answer

    caller.post_form = counted
    provider.sender.start()
    began, processor = time.monotonic(), time.process_time()
    ended = provider.administration.users.end_sessions(user, actor="benchmark")
    print(f"{ended} sessions ended in {time.monotonic() - began:.1f} s (one transaction)")
    while told["all"] < expected and time.monotonic() - began < 600:
        time.sleep(0.05)
    seconds, used = time.monotonic() - began, time.process_time() - processor
    print(
        f"{told['all']} of {expected} messages delivered in {seconds:.1f} s "
        f"({told['all'] / seconds:.0f} a second, "
        f"{1000 * used / max(1, told['all']):.2f} ms of processor each); "
        f"{clients} applications, and {dead} more that never answer"
    )
    provider.sender.stop()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:] or ("10000", "50")))
