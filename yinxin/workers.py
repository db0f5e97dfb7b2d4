"""Processes that answer OCSP from the local store, all on one port. They hold no key."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvloop

from core.clock import SystemClock
from core.collector import settle
from core.errors import Misconfigured
from core.observe import configure_logging
from crl.ocsp.door import Door
from crl.ocsp.keeper import PULSE_FILE, STORE_FILE
from crl.ocsp.link import RemoteSigning
from crl.ocsp.listener import OCSPListener
from crl.ocsp.plane import OCSPPlane
from crl.ocsp.pulse import Pulse, elapsed
from crl.ocsp.reader import AnswerReader
from crl.ocsp.server import OCSPConnection
from crl.ocsp.store import StatusStore
from yinxin.handed import hand_over
from yinxin.http1 import HEAD_SECONDS
from yinxin.server import raise_descriptor_limit

if TYPE_CHECKING:
    import socket

    from yinxin.settings import Settings
    from yinxin.state import State

SIGNING_SOCKET: Final = "signing.sock"
HANDED_SOCKET: Final = "handed.sock"
_WAIT_SECONDS: Final = 0.1
_LOG_SECONDS: Final = 10.0
_GRACE_SECONDS: Final = 10.0


def serve_worker(settings: Settings, state: State, sock: socket.socket, *, slot: int) -> None:
    """Answer on `sock` until told to stop; `slot` is where this process publishes its counts."""
    clock = SystemClock()
    configure_logging(settings.log.level, clock=clock)
    raise_descriptor_limit()
    config = settings.revocation.ocsp
    store = _wait_for_store(state.directory / STORE_FILE, config.store_gibibytes)
    reader, pulse = AnswerReader(store), Pulse(state.directory / PULSE_FILE)
    _wait_for_log(pulse)

    async def run() -> None:
        signing = RemoteSigning(state.directory / SIGNING_SOCKET)
        plane = OCSPPlane(reader, signing, pulse, config=config, clock=clock, slot=slot)
        await _serve(plane, sock, state.directory / HANDED_SOCKET)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
    store.close()


def _wait_for_store(path: Path, gibibytes: int) -> StatusStore:
    """Open the store; whoever keeps it makes it, and may be a moment later than we are."""
    while True:
        try:
            return StatusStore.open(path, gibibytes=gibibytes, writable=False)
        except Misconfigured:
            time.sleep(_WAIT_SECONDS)


def _wait_for_log(pulse: Pulse) -> None:
    """Answer nobody before it was tried to read what changed while this host stood still.

    Not for long: a database that hangs is as good as away, and without one the store is right.
    """
    until = elapsed() + _LOG_SECONDS
    while not pulse.settled and elapsed() < until:
        time.sleep(_WAIT_SECONDS)


async def _serve(plane: OCSPPlane, sock: socket.socket, handed: Path) -> None:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    connections: set[asyncio.Protocol] = set()
    listener = OCSPListener(plane, wait_seconds=HEAD_SECONDS)

    def give_away(transport: asyncio.Transport, unread: bytes) -> None:
        hand_over(handed, transport, unread)

    door = Door(
        sock, listener, lambda begun: OCSPConnection(listener, give_away, connections, begun)
    )
    settle()
    door.open()
    await stopping.wait()
    door.close()
    for connection in list(connections):
        if isinstance(connection, OCSPConnection):
            connection.shutdown()
    for _ in range(round(_GRACE_SECONDS / _WAIT_SECONDS)):
        if not connections and not door.waiting:
            return
        await asyncio.sleep(_WAIT_SECONDS)
