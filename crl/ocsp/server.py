"""The plain-http listener: OCSP on the raw connection, everything else by the general server.

A connection starts here. The first request that is not simple OCSP (`crl.ocsp.head`) hands the
connection, with every octet not yet answered, to the general server for the rest of its life;
that one answers OCSP too, by `crl.ocsp.routes`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from typing_extensions import override

from core.errors import TrustError
from crl.ocsp.head import Head, parse_head
from crl.ocsp.path import decode_path
from crl.ocsp.plane import OCSPPlane, Pending
from crl.ocsp.recent import RecentRequest

MAX_HEAD_OCTETS: Final = 8192
MAX_CONNECTIONS: Final = 10_000
MAX_UNREAD_OCTETS: Final = 65_536
_TICK_SECONDS: Final = 1.0
_REMEMBERED: Final = 4096
_REMEMBERED_OCTETS: Final = 1024
_GET: Final = b"GET /ocsp/"
_POST: Final = b"POST /ocsp"
_VERSION_OCTETS: Final = len(b" HTTP/1.1")

HandOver = Callable[[asyncio.Transport, bytes], None]
"""Takes a connection with what was read of it and not answered."""


class OCSPListener:
    """What the connections of one listener share. To be used from one event loop."""

    def __init__(self, plane: OCSPPlane, *, wait_seconds: float) -> None:
        self.plane = plane
        self.recent = plane.recent
        self.tick = 0
        """Counts up every second while somebody asks or may."""
        self._patience = max(1, round(wait_seconds / _TICK_SECONDS))
        self._watched: set[OCSPConnection] = set()
        self._heads: dict[bytes, Head] = {}
        self._ticking = self._asked = False

    def admit(self, connection: OCSPConnection) -> bool:
        """Watch over a connection; False: there are too many."""
        watched = self._watched
        if len(watched) >= MAX_CONNECTIONS:
            return False
        self._tick_on()
        watched.add(connection)
        return True

    def dismiss(self, connection: OCSPConnection) -> None:
        """Watch over it no more."""
        self._watched.discard(connection)

    def recognise(self, data: bytes) -> RecentRequest | None:
        """Return one whole simple request, to be remembered. None says nothing.

        What a client program writes around its questions is the same each time, so it is parsed
        once (`learn`).
        """
        try:
            if data.startswith(_GET):
                line = data.find(b"\r\n") - _VERSION_OCTETS
                head = self._heads.get(data[line:])
                octets = b"" if head is None else decode_path(data[len(_GET) : line])
            elif data.startswith(_POST):
                end = data.find(b"\r\n\r\n") + 4
                head, octets = self._heads.get(data[:end]), data[end:]
            else:
                return None
            if head is None or (head.body_octets and head.body_octets != len(octets)):
                return None
            return self.plane.recognise(data, octets, close=head.close)
        except TrustError:
            return None

    def only_answer(self, data: bytes) -> bytes | None:
        """Return the response if `data` is one simple request that ends its connection.

        None says nothing.
        """
        recent = self.recent.get(data) or self.recognise(data)
        if recent is None or not recent.close:
            return None
        self._tick_on()
        return self.plane.quick(recent)

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

    def _tick_on(self) -> None:
        self._asked = True
        if not self._ticking:
            self._ticking = True
            self.plane.look()
            asyncio.get_running_loop().call_later(_TICK_SECONDS, self._sweep)

    def _sweep(self) -> None:
        self.tick += 1
        oldest = self.tick - self._patience
        for connection in [one for one in self._watched if one.since < oldest]:
            connection.give_up()
        self.plane.look()
        self._ticking, self._asked = bool(self._watched) or self._asked, False
        if self._ticking:
            asyncio.get_running_loop().call_later(_TICK_SECONDS, self._sweep)


class OCSPConnection(asyncio.Protocol):
    """One connection.

    `hand_over` takes what is not for here; `connections` is the general server's set of those
    whose `shutdown` it calls when it stops; `early` is what was read before it began.
    """

    __slots__ = (
        "_answering",
        "_blocked",
        "_connections",
        "_hand_over",
        "_listener",
        "_stopping",
        "_transport",
        "_unread",
        "since",
    )

    def __init__(
        self,
        listener: OCSPListener,
        hand_over: HandOver,
        connections: set[asyncio.Protocol],
        early: bytes = b"",
    ) -> None:
        self._listener = listener
        self._hand_over = hand_over
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._unread = early
        self.since = listener.tick
        """The tick of the last answer, or of the start."""
        self._answering: asyncio.Task[None] | None = None
        self._blocked = False
        self._stopping = False

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._connections.add(self)
        if not self._listener.admit(self):
            self.abort()
        elif 0 < len(self._unread) < MAX_UNREAD_OCTETS:
            # A full buffer is followed by more at once: it is looked at then.
            self._serve()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()

    @override
    def data_received(self, data: bytes) -> None:
        if not self._unread and self._answering is None and not self._blocked:
            listener, transport = self._listener, self._transport
            recent = listener.recent.get(data) or listener.recognise(data)
            response = None if recent is None else listener.plane.quick(recent)
            if recent is not None and response is not None and transport is not None:
                self.since = listener.tick
                transport.write(response)
                if recent.close:
                    transport.close()
                return
        self._unread = self._unread + data if self._unread else data
        if self._answering is None and not self._blocked:
            self._serve()
        elif len(self._unread) > MAX_UNREAD_OCTETS and self._transport is not None:
            self._transport.pause_reading()

    @override
    def pause_writing(self) -> None:
        # Who does not read the answers gets no more of them.
        self._blocked = True

    @override
    def resume_writing(self) -> None:
        self._blocked = False
        self._go_on()

    def give_up(self) -> None:
        """End, because nothing was heard for too long; not while an answer is being made."""
        if self._answering is None:
            self.abort()

    def abort(self) -> None:
        """End at once."""
        if self._transport is not None:
            self._transport.abort()

    def shutdown(self) -> None:
        """End as soon as the answer that is being made is out."""
        self._stopping = True
        if self._answering is None and self._transport is not None:
            self._transport.close()

    def _serve(self) -> None:
        """Answer the requests that are here, in their order."""
        transport = self._transport
        out: list[bytes] = []
        while self._unread and transport is not None and not transport.is_closing():
            end = self._unread.find(b"\r\n\r\n") + 4
            if end < 4:
                if len(self._unread) > MAX_HEAD_OCTETS:
                    self._write(out)
                    self._give_away(transport)
                    return
                break
            octets = self._unread[:end]
            head = parse_head(octets)
            if head is None:
                self._write(out)
                self._give_away(transport)
                return
            self._listener.learn(octets, head)
            body_end = end + head.body_octets
            if len(self._unread) < body_end:
                break
            body, self._unread = self._unread[end:body_end], self._unread[body_end:]
            response = self._listener.plane.respond(head, body)
            if isinstance(response, Pending):
                self._write(out)
                loop = asyncio.get_running_loop()
                self._answering = loop.create_task(self._answer_later(response))
                return
            out.append(response)
            if head.close:
                self._write(out)
                transport.close()
                return
        self._write(out)

    def _write(self, out: list[bytes]) -> None:
        if out and self._transport is not None:
            self.since = self._listener.tick
            self._transport.write(out[0] if len(out) == 1 else b"".join(out))
            out.clear()

    async def _answer_later(self, pending: Pending) -> None:
        response = await self._listener.plane.respond_later(pending)
        self._answering = None
        if self._transport is None or self._transport.is_closing():
            return
        self._write([response])
        if pending.head.close or self._stopping:
            self._transport.close()
        else:
            self._go_on()

    def _go_on(self) -> None:
        if self._transport is None or self._answering is not None or self._blocked:
            return
        self._transport.resume_reading()
        self._serve()

    def _give_away(self, transport: asyncio.Transport) -> None:
        self._leave()
        unread, self._unread = self._unread, b""
        self._hand_over(transport, unread)

    def _leave(self) -> None:
        self._transport = None
        self._connections.discard(self)
        self._listener.dismiss(self)
