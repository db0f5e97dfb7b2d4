"""Listening: three sockets, one event loop, one clean stop.

Sockets are bound before anything else happens, so that a busy port is one sentence and not a
half-started service.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import signal
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import uvicorn
import uvloop
from typing_extensions import override

from core.collector import settle
from core.errors import Misconfigured
from crl.ocsp.door import Door, Make
from crl.ocsp.listener import MAX_CONNECTIONS, OCSPListener
from crl.ocsp.server import OCSPConnection
from yinxin.dealing import Acceptor, Shares
from yinxin.handed import HandedOver
from yinxin.http1 import HEAD_SECONDS, HTTPConnection

log = logging.getLogger(__name__)

_THREADS = 40
"""Of direct routes (`core.direct.in_thread`): as many as Starlette has for the others."""
_TURN_SECONDS = 0.0005
"""After so long a thread that computes lets another one go on; a tenth of what Python does by
itself. The event loop waits for as many turns as there are threads that sign, check or hash."""

_LOOK_SECONDS = 0.05
_GRACE_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Listener:
    """One socket and the application behind it."""

    sock: socket.socket | None
    """None: only connections that are handed over by another process."""
    app: Any
    tls: ssl.SSLContext | None = None
    """None means plain http."""
    ocsp: OCSPListener | None = None
    """What answers OCSP before the application is asked. For plain http only."""
    headers: tuple[tuple[str, str], ...] = ()
    """What every answer carries."""
    handed: HandedOver | None = None
    """Where other processes hand connections over."""
    shared: tuple[Shares, int] | None = None
    """Other processes accept from this socket, too; and the place of this one."""


def bind(address: str, port: int, *, shared: bool = False) -> socket.socket:
    """Open a listening socket. Raises `Misconfigured` when the port is taken or not allowed.

    `shared`: several sockets of ours have this port, and the kernel deals connections out.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    option = socket.SO_REUSEPORT if shared else socket.SO_REUSEADDR
    sock.setsockopt(socket.SOL_SOCKET, option, 1)
    try:
        sock.bind((address, port))
    except OSError as error:
        sock.close()
        raise Misconfigured(
            f"cannot listen on {address} port {port}: {error.strerror or error}; "
            "stop what uses it, or choose another port in [server]"
        ) from error
    return sock


def server_context() -> ssl.SSLContext:
    """TLS 1.2 and 1.3 with the defaults of the system; the certificate is loaded by the caller."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def require_client_certificates(context: ssl.SSLContext, roots_pem: str) -> None:
    """Ask every caller for a certificate under these roots; the application checks it again."""
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=roots_pem)
    # Any of our CA certificates may anchor: a device need not send the issuing CA's.
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN


class _Server(uvicorn.Server):
    """One of several servers in the loop: signals are handled once, for all of them."""

    def __init__(self, listener: Listener) -> None:
        super().__init__(_config(listener))
        self._listener = listener
        self._door: Door | None = None
        self._acceptor: Acceptor | None = None

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        sock, ocsp = self._listener.sock, self._listener.ocsp
        ours = ocsp is not None or self._listener.shared is not None
        await super().startup([] if sock is None or ours else [sock])
        if sock is not None and self._listener.shared is not None:
            shares, place = self._listener.shared
            self._acceptor = Acceptor(
                sock,
                shares,
                place,
                tls=self._listener.tls,
                connections=self.server_state.connections,
                make=self.make_protocol,
            )
            self._acceptor.open()
        if sock is not None and ocsp is not None:
            self._door = Door(sock, ocsp, self._ocsp_first(ocsp))
            self._door.open()

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._acceptor is not None:
            self._acceptor.close()
        if self._door is not None:
            self._door.close()
            for _ in range(round(_GRACE_SECONDS / _LOOK_SECONDS)):
                if not self._door.waiting:
                    break
                await asyncio.sleep(_LOOK_SECONDS)
        await super().shutdown(sockets)

    @override
    async def on_tick(self, counter: int) -> bool:
        if self._acceptor is not None:
            self._acceptor.note()
        return await super().on_tick(counter)

    def make_protocol(self) -> asyncio.Protocol:
        """Return the protocol of a new connection, as uvicorn makes it."""
        return HTTPConnection(self.config, self.server_state, app_state=self.lifespan.state)

    def _ocsp_first(self, ocsp: OCSPListener) -> Make:
        """Begin each connection with ours; it gives the way to uvicorn's own protocol."""

        def hand_over(transport: asyncio.Transport, unread: bytes) -> None:
            successor = self.make_protocol()
            transport.set_protocol(successor)
            successor.connection_made(transport)
            successor.data_received(unread)

        connections: set[Any] = self.server_state.connections
        return lambda begun: OCSPConnection(ocsp, hand_over, connections, begun)

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(
    listeners: tuple[Listener, ...],
    *,
    started: Any,
    beside: Callable[[], Awaitable[object]] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, then finish open requests (at most ten seconds).

    Calls `started` once every listener accepts, and what runs `beside` them in the loop.
    """
    raise_descriptor_limit()
    sys.setswitchinterval(_TURN_SECONDS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(listeners, started, beside))


def raise_descriptor_limit() -> None:
    """Let this process have as many connections as it may."""
    # The usual 1024 would end before the limits of connections do.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _run(
    listeners: tuple[Listener, ...],
    started: Any,
    beside: Callable[[], Awaitable[object]] | None,
) -> None:
    servers = [_Server(listener) for listener in listeners]

    def stop() -> None:
        for server in servers:
            server.should_exit = True

    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="request"))
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    tasks = [
        asyncio.create_task(server.serve(sockets=[one.sock] if one.sock else []))
        for server, one in zip(servers, listeners, strict=True)
    ]
    while not all(server.started for server in servers):
        if any(task.done() for task in tasks):
            stop()
            break
        await asyncio.sleep(0.02)
    else:
        for server, listener in zip(servers, listeners, strict=True):
            if listener.handed is not None:
                listener.handed.start(server.make_protocol)
        settle()
        running = None if beside is None else await beside()  # noqa: F841 - kept alive
        started()
    await asyncio.gather(*tasks)


def _config(listener: Listener) -> uvicorn.Config:
    tls = listener.tls
    return uvicorn.Config(
        listener.app,
        http=HTTPConnection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        headers=list(listener.headers),
        proxy_headers=False,  # nobody outside may tell us who asks
        timeout_keep_alive=HEAD_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        limit_concurrency=1000 if listener.ocsp is None else MAX_CONNECTIONS,
        ssl_context_factory=None if tls is None else lambda _config, _default: tls,
    )
