"""The plain-http listener as it runs in the service, over a small authority, in a thread."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvloop
from fastapi import FastAPI

from ca.revocation import RevocationService
from core.http import install_problem_handlers
from crl.ocsp.follow import StatusFollower
from crl.ocsp.plane import OCSPPlane
from crl.ocsp.ready import ReadyAnswers
from crl.ocsp.server import OCSPListener
from crl.routes import make_router
from tests.unit.crl.world import World
from yinxin import server


@dataclass
class RunningPlane:
    world: World
    address: tuple[str, int]
    ready: ReadyAnswers
    follower: StatusFollower
    server: server._Server

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.address[1]}"

    def stop(self) -> None:
        """Begin to stop, as SIGTERM does."""
        self.server.should_exit = True

    def send(self, octets: bytes, *, wait: float = 10) -> bytes:
        """Everything that comes back until the service closes the connection."""
        with socket.create_connection(self.address, timeout=wait) as connection:
            connection.sendall(octets)
            return read_to_end(connection)


def read_to_end(connection: socket.socket) -> bytes:
    received = b""
    while part := connection.recv(65536):
        received += part
    return received


@contextmanager
def running_plane(
    world: World,
    *,
    wait_seconds: float = 30,
    follow: bool = True,
    sock: socket.socket | None = None,
) -> Iterator[RunningPlane]:
    """Without `follow` no thread looks at the status log: the test does, when it wants."""
    config = world.config.ocsp
    ready = ReadyAnswers(config.cache_entries, status_lag_seconds=config.status_lag_seconds)
    follower = StatusFollower(world.issuers, status_log=world.store, ready=ready)
    world.revocation = RevocationService(
        store=world.store,
        transactions=world.database,
        audit=world.audit,
        clock=world.clock,
        listeners=(follower.after_change,),
    )
    plane = OCSPPlane(world.responder, ready, config=config, clock=world.clock)
    app = FastAPI(redirect_slashes=False)
    install_problem_handlers(app)
    app.include_router(
        make_router(
            world.responder, world.schedule, world.issuers, config=world.config, clock=world.clock
        )
    )
    sock = sock or server.bind("127.0.0.1", 0)
    sock.listen()  # who comes before the loop runs waits
    listener = server.Listener(sock, app, ocsp=OCSPListener(plane, wait_seconds=wait_seconds))
    running = server._Server(server._config(listener))
    address = sock.getsockname()

    def run() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(running.serve(sockets=[sock]))

    thread = threading.Thread(target=run)
    if follow:
        follower.start()
    else:
        follower.follow()
    thread.start()
    try:
        yield RunningPlane(world, address, ready, follower, running)
    finally:
        running.should_exit = True
        thread.join(timeout=30)
        follower.stop()
        plane.close()
    assert not thread.is_alive()
