"""What the connections of the plain-http listener share: who is there, and what was learnt."""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple, Protocol

from crl.ocsp.head import Head, parse_head
from crl.ocsp.plane import OCSPPlane

MAX_CONNECTIONS: Final = 10_000
MAX_UNREAD_OCTETS: Final = 65_536
_TICK_SECONDS: Final = 1.0
_REMEMBERED: Final = 4096
_REMEMBERED_OCTETS: Final = 1024
_GET: Final = b"GET /ocsp/"
_GET_OCTETS: Final = len(_GET)
_VERSION_OCTETS: Final = len(b" HTTP/1.1")


class Begun(NamedTuple):
    """What happened to a connection before it became a transport."""

    unread: bytes = b""
    """Read of it, and not answered."""
    unsent: bytes = b""
    """To be sent first."""
    close: bool = False
    """It ends then."""


class Watched(Protocol):
    """A connection that ends when nothing is heard of it."""

    since: int
    """The tick of the last answer, or of the start."""

    def give_up(self) -> None:
        """End, because nothing was heard for too long."""
        ...


class OCSPListener:
    """What the connections of one listener share. To be used from one event loop."""

    def __init__(self, plane: OCSPPlane, *, wait_seconds: float) -> None:
        self.plane = plane
        self.recent = plane.recent
        self._reader = plane.reader
        self.tick = 0
        """Counts up every second while somebody asks or may."""
        self._patience = max(1, round(wait_seconds / _TICK_SECONDS))
        self._watched: set[Watched] = set()
        self._heads: dict[bytes, Head] = {}
        self._ticking = self._asked = False

    def hear(self) -> None:
        """Note that somebody asks: the plane looks around every second meanwhile."""
        self._asked = True
        if not self._ticking:
            self._ticking = True
            self.plane.look()
            asyncio.get_running_loop().call_later(_TICK_SECONDS, self._sweep)

    def admit(self, connection: Watched) -> bool:
        """Watch over a connection; False: there are too many."""
        watched = self._watched
        if len(watched) >= MAX_CONNECTIONS:
            return False
        self.hear()
        watched.add(connection)
        return True

    def dismiss(self, connection: Watched) -> None:
        """Watch over it no more."""
        self._watched.discard(connection)

    def answer(self, data: bytes) -> tuple[bytes, bool] | None:
        """Return the response to one whole simple request, and whether the connection ends with it.

        None says nothing. What a client program writes around its questions is the same each
        time, so it is parsed once (`learn`).
        """
        recent = self.recent.get(data)
        if recent is not None:
            response = self.plane.repeat(recent)
            if response is not None:
                return response, recent.close
        if data.startswith(_GET):
            end = data.find(b" ", _GET_OCTETS)
            head = self._heads.get(data[end:])
            if head is None:
                return None
            key = self._reader.forms.key_in_path(data[_GET_OCTETS:end])
        else:
            end = data.find(b"\r\n\r\n") + 4
            head, octets = self._heads.get(data[:end]), data[end:]
            if head is None or head.body_octets != len(octets):
                return None
            key = self._reader.forms.key_of(octets)
        response = self.plane.look_up(data, key, close=head.close)
        return None if response is None else (response, head.close)

    def read(self, data: bytes) -> tuple[Head, bytes] | None:
        """Return head and body of what `answer` did not recognise, and learn the head.

        None: it is not one whole request for OCSP and nothing else.
        """
        end = data.find(b"\r\n\r\n") + 4
        head = parse_head(data[:end]) if end >= 4 else None
        if head is None or len(data) != end + head.body_octets:
            return None
        self.learn(data[:end], head)
        return head, data[end:]

    def learn(self, octets: bytes, head: Head) -> None:
        """Remember a head: of a simple GET what stands behind the target, of a POST all of it."""
        if not head.send_body or head.if_none_match or len(octets) > _REMEMBERED_OCTETS:
            return
        if head.encoded is not None:
            octets = octets[octets.index(b"\r\n") - _VERSION_OCTETS :]
        elif not head.body_octets:
            return
        if len(self._heads) >= _REMEMBERED:
            self._heads.clear()
        self._heads[octets] = head

    def _sweep(self) -> None:
        self.tick += 1
        oldest = self.tick - self._patience
        for connection in [one for one in self._watched if one.since < oldest]:
            connection.give_up()
        self.plane.look()
        self._ticking, self._asked = bool(self._watched) or self._asked, False
        if self._ticking:
            asyncio.get_running_loop().call_later(_TICK_SECONDS, self._sweep)
