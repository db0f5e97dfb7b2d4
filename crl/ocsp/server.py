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

from crl.ocsp.head import Head, parse_head
from crl.ocsp.plane import OCSPPlane, Pending

MAX_HEAD_OCTETS: Final = 8192
MAX_CONNECTIONS: Final = 10_000
_MAX_UNREAD_OCTETS: Final = 65_536
_SWEEP_SECONDS: Final = 1.0
_REMEMBERED_HEADS: Final = 16_384
_REMEMBERED_OCTETS: Final = 1024

MakeProtocol = Callable[[], asyncio.Protocol]


class OCSPListener:
    """What the connections of one listener share. To be used from one event loop."""

    def __init__(self, plane: OCSPPlane, *, wait_seconds: float) -> None:
        self.plane = plane
        self._wait_seconds = wait_seconds
        self._watched: set[OCSPConnection] = set()
        self._heads: dict[bytes, Head] = {}

    def admit(self, connection: OCSPConnection) -> bool:
        """Watch over a connection; False: there are too many."""
        if len(self._watched) >= MAX_CONNECTIONS:
            return False
        if not self._watched:
            asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep)
        self._watched.add(connection)
        return True

    def dismiss(self, connection: OCSPConnection) -> None:
        """Watch over it no more."""
        self._watched.discard(connection)

    def parse(self, octets: bytes) -> Head | None:
        """`parse_head`, which is a function of its octets alone: clients repeat themselves."""
        head = self._heads.get(octets)
        if head is None:
            head = parse_head(octets)
            if head is not None and len(octets) <= _REMEMBERED_OCTETS:
                if len(self._heads) >= _REMEMBERED_HEADS:
                    del self._heads[next(iter(self._heads))]
                self._heads[octets] = head
        return head

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        for connection in list(self._watched):
            if connection.waited(loop.time()) > self._wait_seconds:
                connection.abort()
        if self._watched:
            loop.call_later(_SWEEP_SECONDS, self._sweep)


class OCSPConnection(asyncio.Protocol):
    """One connection.

    `others` makes the protocol of the general server; `connections` is its set of those whose
    `shutdown` it calls when it stops.
    """

    def __init__(
        self, listener: OCSPListener, others: MakeProtocol, connections: set[asyncio.Protocol]
    ) -> None:
        self._listener = listener
        self._others = others
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._unread = b""
        self._since = self._loop.time()
        self._answering: asyncio.Task[None] | None = None
        self._blocked = False
        self._stopping = False

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._connections.add(self)
        if not self._listener.admit(self):
            self.abort()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()

    @override
    def data_received(self, data: bytes) -> None:
        self._unread = self._unread + data if self._unread else data
        if self._answering is None and not self._blocked:
            self._serve()
        elif len(self._unread) > _MAX_UNREAD_OCTETS and self._transport is not None:
            self._transport.pause_reading()

    @override
    def pause_writing(self) -> None:
        # Who does not read the answers gets no more of them.
        self._blocked = True

    @override
    def resume_writing(self) -> None:
        self._blocked = False
        self._go_on()

    def waited(self, now: float) -> float:
        """Return the seconds since the last answer, or since the start."""
        return 0.0 if self._answering is not None else now - self._since

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
                    self._hand_over(transport)
                    return
                break
            head = self._listener.parse(self._unread[:end])
            if head is None:
                self._write(out)
                self._hand_over(transport)
                return
            body_end = end + head.body_octets
            if len(self._unread) < body_end:
                break
            body, self._unread = self._unread[end:body_end], self._unread[body_end:]
            response = self._listener.plane.respond(head, body)
            if isinstance(response, Pending):
                self._write(out)
                self._answering = self._loop.create_task(self._answer_later(response))
                return
            out.append(response)
            if head.close:
                self._write(out)
                transport.close()
                return
        self._write(out)

    def _write(self, out: list[bytes]) -> None:
        if out and self._transport is not None:
            self._since = self._loop.time()
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

    def _hand_over(self, transport: asyncio.Transport) -> None:
        self._leave()
        unread, self._unread = self._unread, b""
        successor = self._others()
        transport.set_protocol(successor)
        successor.connection_made(transport)
        successor.data_received(unread)

    def _leave(self) -> None:
        self._transport = None
        self._connections.discard(self)
        self._listener.dismiss(self)
