"""Accepting connections of the plain-http listener.

Many clients make a connection for one question. Where the question is here already when the
connection is, and its answer in the store, it is answered on the bare socket: a transport of the
event loop costs more than all the rest. Every other connection becomes one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from typing import Final

from crl.ocsp.server import MAX_UNREAD_OCTETS, OCSPListener

log = logging.getLogger(__name__)

_BACKLOG: Final = 4096
_AT_ONCE: Final = 32
"""So many are accepted before others get their turn."""
_REST_SECONDS: Final = 0.5


class Door:
    """One listening socket. To be used from one event loop."""

    def __init__(
        self, sock: socket.socket, listener: OCSPListener, make: Callable[[bytes], asyncio.Protocol]
    ) -> None:
        """`make` makes the protocol of a connection of which these octets were read."""
        self._sock = sock
        self._family = sock.family
        self._listener = listener
        self._make = make
        self._loop = asyncio.get_running_loop()
        self._adopting: set[asyncio.Task[None]] = set()
        self._open = False

    def open(self) -> None:
        """Begin to accept."""
        self._sock.setblocking(False)
        self._sock.listen(_BACKLOG)
        self._open = True
        self._loop.add_reader(self._sock, self._accept)

    def close(self) -> None:
        """Accept no more, and close the socket."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._sock)
        self._sock.close()

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                # `accept` itself looks up three enumerations: a tenth of all that is done here.
                descriptor, _ = self._sock._accept()  # type: ignore[attr-defined]  # noqa: SLF001
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:
                # No descriptor is left, say: those who wait are taken as soon as there is one.
                log.exception("no connection can be accepted")
                self._loop.remove_reader(self._sock)
                self._loop.call_later(_REST_SECONDS, self._go_on)
                return
            self._take(socket.SocketType(self._family, socket.SOCK_STREAM, 0, descriptor))

    def _go_on(self) -> None:
        if self._open:
            self._loop.add_reader(self._sock, self._accept)

    def _take(self, connection: socket.SocketType) -> None:
        try:
            data = connection.recv(MAX_UNREAD_OCTETS, socket.MSG_DONTWAIT)
        except BlockingIOError:
            self._adopt(connection, b"")
            return
        except OSError:
            connection.close()
            return
        response = self._listener.only_answer(data)
        if response is None and data:
            self._adopt(connection, data)
            return
        if response is not None:
            # A connection that is new has room for it.
            with contextlib.suppress(OSError):
                connection.send(response, socket.MSG_DONTWAIT)
        connection.close()

    def _adopt(self, taken: socket.SocketType, data: bytes) -> None:
        """Make it a transport; `data` was read of it."""
        connection = socket.socket(self._family, socket.SOCK_STREAM, 0, taken.detach())
        connection.setblocking(False)

        async def adopt() -> None:
            try:
                await self._loop.connect_accepted_socket(lambda: self._make(data), connection)
            except OSError:
                connection.close()

        task = self._loop.create_task(adopt())
        self._adopting.add(task)
        task.add_done_callback(self._adopting.discard)
