"""Accepting connections of the plain-http listener.

Many clients make a connection for one question. Where the question is here already when the
connection is, and its answer in the store, it is answered at once on the bare socket. Who says
nothing yet, or stays, waits in the room (`crl.ocsp.room`): a transport of the event loop costs
more than all the rest. Only what is not simple becomes one.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Final

from crl.ocsp.listener import MAX_UNREAD_OCTETS, Begun, OCSPListener
from crl.ocsp.room import Guest, Room

log = logging.getLogger(__name__)

_BACKLOG: Final = 4096
_AT_ONCE: Final = 32
"""So many are accepted before others get their turn."""
_REST_SECONDS: Final = 0.5


Make = Callable[[Begun], asyncio.Protocol]
"""Makes the protocol of a connection that becomes a transport."""


class Door:
    """One listening socket. To be used from one event loop."""

    def __init__(self, sock: socket.socket, listener: OCSPListener, make: Make) -> None:
        self._sock = sock
        self._family = sock.family
        self._room = Room(listener, self._adopt)
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
        """Accept no more, close the socket, and end the connections on bare sockets.

        Who waits for an answer that is being made still gets it.
        """
        if self._open:
            self._open = False
            self._loop.remove_reader(self._sock)
        self._room.close()
        self._sock.close()

    @property
    def waiting(self) -> bool:
        """Whether somebody still waits, after `close`, for an answer that is being made."""
        return self._room.waiting

    def _accept(self) -> None:
        said: list[tuple[Guest, bytes]] = []
        for _ in range(_AT_ONCE):
            try:
                # `accept` itself looks up three enumerations: a tenth of all that is done here.
                descriptor, _ = self._sock._accept()  # type: ignore[attr-defined]  # noqa: SLF001
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                break
            except OSError:
                # No descriptor is left, say: those who wait are taken as soon as there is one.
                log.exception("no connection can be accepted")
                self._loop.remove_reader(self._sock)
                self._loop.call_later(_REST_SECONDS, self._go_on)
                break
            self._take(Guest(self._family, socket.SOCK_STREAM, 0, descriptor), said)
        if said:
            self._room.answer(said)

    def _go_on(self) -> None:
        if self._open:
            self._loop.add_reader(self._sock, self._accept)

    def _take(self, guest: Guest, said: list[tuple[Guest, bytes]]) -> None:
        """Hear what a new connection says; it waits in the room if that is nothing yet."""
        guest.room = None
        try:
            data = guest.recv(MAX_UNREAD_OCTETS, socket.MSG_DONTWAIT)
        except BlockingIOError:
            self._room.enter(guest)
            return
        except OSError:
            data = b""
        if data:
            said.append((guest, data))
        else:
            guest.close()

    def _adopt(self, guest: Guest, begun: Begun) -> None:
        """Make it a transport."""
        connection = socket.socket(self._family, socket.SOCK_STREAM, 0, guest.detach())
        connection.setblocking(False)

        async def adopt() -> None:
            try:
                await self._loop.connect_accepted_socket(lambda: self._make(begun), connection)
            except OSError:
                connection.close()

        task = self._loop.create_task(adopt())
        self._adopting.add(task)
        task.add_done_callback(self._adopting.discard)
