"""Connections that stay, on their bare sockets, as long as their questions are simple.

One epoll object holds them all, and the event loop watches it as one file. What can be read is read
first, and then all of it is answered from one moment of the store: no answer is older than its
question, and neither a transport nor a transaction is paid for each.
"""

from __future__ import annotations

import asyncio
import logging
import select
import socket
from collections.abc import Callable, Sequence
from typing import Final

from crl.ocsp.listener import MAX_UNREAD_OCTETS, Begun, OCSPListener

log = logging.getLogger(__name__)

# Numbers, and by names of this module: they are read for each request.
_EITHER_WAY: Final = int(socket.MSG_DONTWAIT)

_AT_ONCE: Final = 64
"""So many are heard before others get their turn."""


class Guest(socket.SocketType):
    """A connection on its bare socket."""

    __slots__ = ("room", "since")

    room: Room | None
    """Where it is; None: it is new."""
    since: int
    """The listener's tick of the last answer, or of the start."""

    def give_up(self) -> None:
        """End, because nothing was heard for too long."""
        if self.room is not None:
            self.room.leave(self)


Adopt = Callable[[Guest, Begun], None]
"""Makes a connection a transport."""


class Room:
    """The connections of one door. To be used from one event loop."""

    def __init__(self, listener: OCSPListener, adopt: Adopt) -> None:
        """`adopt` takes connections that are not simple."""
        self._listener = listener
        self._adopt = adopt
        self._poll = select.epoll()
        self._guests: dict[int, Guest] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._poll.fileno(), self._hear)

    def close(self) -> None:
        """End all connections."""
        self._loop.remove_reader(self._poll.fileno())
        for guest in list(self._guests.values()):
            self.leave(guest)
        self._poll.close()

    def enter(self, guest: Guest) -> None:
        """Keep a new connection until it says something, or too long nothing."""
        guest.since = self._listener.tick
        if not self._listener.admit(guest):
            guest.close()
            return
        guest.room = self
        descriptor = guest.fileno()
        self._guests[descriptor] = guest
        self._poll.register(descriptor, select.EPOLLIN)

    def leave(self, guest: Guest) -> None:
        """End a connection."""
        self._let_go(guest)
        guest.close()

    def answer(self, said: Sequence[tuple[Guest, bytes]]) -> None:
        """Answer what was read; what needs more than the store becomes a transport."""
        plane = self._listener.plane
        self._listener.hear()
        try:
            with plane.one_moment():
                for guest, data in said:
                    self._answer(guest, data)
        except Exception:  # recorded; a connection without its answer is of no use
            log.exception("unexpected error while OCSP was answered")
            for guest, _ in said:
                self.leave(guest)

    def _hear(self) -> None:
        said = []
        for descriptor, _ in self._poll.poll(0, _AT_ONCE):
            guest = self._guests[descriptor]
            try:
                data = guest.recv(MAX_UNREAD_OCTETS, _EITHER_WAY)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            if data:
                said.append((guest, data))
            else:
                self.leave(guest)
        if said:
            self.answer(said)

    def _answer(self, guest: Guest, data: bytes) -> None:
        listener = self._listener
        answer = listener.answer(data)
        if answer is None:
            listener.study(data)
            answer = listener.answer(data)
        if answer is None:
            self._give_away(guest, Begun(data))
            return
        response, close = answer
        try:
            sent = guest.send(response, _EITHER_WAY)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.leave(guest)
            return
        if sent < len(response):
            self._give_away(guest, Begun(unsent=response[sent:], close=close))
        elif close:
            self.leave(guest)
        elif guest.room is None:
            self.enter(guest)
        else:
            guest.since = listener.tick

    def _give_away(self, guest: Guest, begun: Begun) -> None:
        self._let_go(guest)
        self._adopt(guest, begun)

    def _let_go(self, guest: Guest) -> None:
        if guest.room is not None:
            guest.room = None
            self._listener.dismiss(guest)
            descriptor = guest.fileno()
            del self._guests[descriptor]
            self._poll.unregister(descriptor)
