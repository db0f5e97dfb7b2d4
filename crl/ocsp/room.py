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
from crl.ocsp.waiting import Pending

log = logging.getLogger(__name__)

# Numbers, and by names of this module: they are read for each request.
_EITHER_WAY: Final = int(socket.MSG_DONTWAIT)

_AT_ONCE: Final = 24
"""So many are heard before others get their turn: answers that were signed meanwhile, say."""


class Guest(socket.SocketType):
    """A connection on its bare socket."""

    __slots__ = ("close_after", "deaf", "room", "since", "waits")

    room: Room | None
    """Where it is; None: it is new."""
    since: int
    """The listener's tick of the last answer, or of the start."""
    waits: bool
    """Its answer is being made, and it is not listened to."""
    deaf: bool
    """It said more while it waits: the room does not look at it meanwhile."""
    close_after: bool
    """It ends with the answer that is being made."""

    def give_up(self) -> None:
        """End, because nothing was heard for too long; not while an answer is being made."""
        if self.room is not None and not self.waits:
            self.room.leave(self)

    def answered(self, response: bytes) -> None:
        """Take the answer that was made."""
        if self.room is not None:
            self.room.answered(self, response)


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
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._poll.fileno(), self._hear)

    @property
    def waiting(self) -> bool:
        """Whether somebody still waits, after `close`, for an answer that is being made."""
        return self._closed and bool(self._guests)

    def close(self) -> None:
        """End all connections: those that wait for an answer as soon as they have it."""
        self._closed = True
        self._loop.remove_reader(self._poll.fileno())
        for guest in list(self._guests.values()):
            if not guest.waits:
                self.leave(guest)
        self._poll.close()

    def enter(self, guest: Guest) -> bool:
        """Keep a new connection until it says something, or too long nothing.

        False: there are too many, and it was closed.
        """
        guest.since = self._listener.tick
        if not self._listener.admit(guest):
            guest.close()
            return False
        guest.room = self
        guest.waits = guest.deaf = False
        descriptor = guest.fileno()
        self._guests[descriptor] = guest
        self._poll.register(descriptor, select.EPOLLIN)
        return True

    def leave(self, guest: Guest) -> None:
        """End a connection."""
        self._let_go(guest)
        guest.close()

    def answer(self, said: Sequence[tuple[Guest, bytes]]) -> None:
        """Answer what was read; what needs more than the store becomes a transport."""
        plane = self._listener.plane
        self._listener.hear()
        # All are answered, and then all are sent: what looks up and what sends would each time
        # push the other out of the processor's caches.
        answers = []
        try:
            with plane.one_moment():
                for guest, data in said:
                    answer = self._answer(guest, data)
                    if answer is not None:
                        answers.append((guest, answer))
            for guest, (response, close) in answers:
                self._send(guest, response, close=close)
        except Exception:  # recorded; a connection without its answer is of no use
            log.exception("unexpected error while OCSP was answered")
            for guest, _ in said:
                self.leave(guest)

    def _hear(self) -> None:
        said = []
        for descriptor, _ in self._poll.poll(0, _AT_ONCE):
            guest = self._guests[descriptor]
            if guest.waits:
                self._poll.unregister(descriptor)
                guest.deaf = True
                continue
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

    def answered(self, guest: Guest, response: bytes) -> None:
        """Send an answer that was made for who waits for it."""
        guest.waits = False
        self._send(guest, response, close=guest.close_after or self._closed)
        if guest.deaf and guest.room is not None:
            guest.deaf = False
            self._poll.register(guest.fileno(), select.EPOLLIN)

    def _answer(self, guest: Guest, data: bytes) -> tuple[bytes, bool] | None:
        """Return the response, and whether the connection ends with it.

        None: it is given away, or waits.
        """
        listener = self._listener
        answer = listener.answer(data)
        if answer is not None:
            return answer
        asked = listener.read(data)
        if asked is None:
            self._give_away(guest, Begun(data))
            return None
        head, body = asked
        response: bytes | Pending | None = listener.plane.respond(head, body)
        if isinstance(response, Pending):
            if guest.room is None and not self.enter(guest):
                return None
            response = listener.plane.respond_later(response, guest.answered)
            guest.waits, guest.close_after = response is None, head.close
        return None if response is None else (response, head.close)

    def _send(self, guest: Guest, response: bytes, *, close: bool) -> None:
        try:
            sent = guest.send(response, _EITHER_WAY)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.leave(guest)
            return
        if sent < len(response) and not self._closed:
            self._give_away(guest, Begun(unsent=response[sent:], close=close))
        elif close:
            self.leave(guest)
        elif guest.room is None:
            self.enter(guest)
        else:
            guest.since = self._listener.tick

    def _give_away(self, guest: Guest, begun: Begun) -> None:
        self._let_go(guest)
        self._adopt(guest, begun)

    def _let_go(self, guest: Guest) -> None:
        if guest.room is not None:
            guest.room = None
            self._listener.dismiss(guest)
            descriptor = guest.fileno()
            del self._guests[descriptor]
            if not guest.deaf and not self._closed:
                self._poll.unregister(descriptor)
