"""The plain-http listener as it runs in the service, over a small authority, in a thread."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop
from fastapi import FastAPI

from ca.revocation import RevocationService
from core.http import install_problem_handlers
from crl.ocsp.keeper import Keeper
from crl.ocsp.listener import OCSPListener
from crl.routes import make_router
from tests.unit.crl.world import World
from yinxin import server
from yinxin.app_parts import add_routes


@dataclass
class RunningPlane:
    world: World
    address: tuple[str, int]
    keeper: Keeper
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
    with TemporaryDirectory() as directory:
        bound = sock or server.bind("127.0.0.1", 0)
        yield from _run(world, Path(directory), bound, wait_seconds, follow=follow)


def _run(
    world: World, directory: Path, sock: socket.socket, wait_seconds: float, *, follow: bool
) -> Iterator[RunningPlane]:
    keeper = world.make_keeper(directory)
    plane = keeper.plane()
    world.revocation = RevocationService(
        store=world.store,
        transactions=world.database,
        audit=world.audit,
        clock=world.clock,
        listeners=(keeper.follower.after_change,),
    )
    app = FastAPI(redirect_slashes=False)
    install_problem_handlers(app)
    add_routes(
        app,
        make_router(plane, world.schedule, world.issuers, config=world.config, clock=world.clock),
    )
    sock.listen()  # who comes before the loop runs waits
    listener = server.Listener(sock, app, ocsp=OCSPListener(plane, wait_seconds=wait_seconds))
    running = server._Server(listener)
    address = sock.getsockname()

    def run() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(running.serve(sockets=[sock]))

    thread = threading.Thread(target=run)
    keeper.follower.follow()
    if follow:
        keeper.follower.start()
    thread.start()
    try:
        yield RunningPlane(world, address, keeper, running)
    finally:
        running.should_exit = True
        thread.join(timeout=30)
        keeper.close()
    assert not thread.is_alive()
