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

from crl.ocsp.head import parse_head
from crl.ocsp.listener import MAX_UNREAD_OCTETS, Begun, OCSPListener
from crl.ocsp.waiting import Pending

MAX_HEAD_OCTETS: Final = 8192
_NOTHING: Final = Begun()

HandOver = Callable[[asyncio.Transport, bytes], None]
"""Takes a connection with what was read of it and not answered."""


class OCSPConnection(asyncio.Protocol):
    """One connection.

    `hand_over` takes what is not for here; `connections` is the general server's set of those
    whose `shutdown` it calls when it stops.
    """

    __slots__ = (
        "_answering",
        "_begun",
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
        begun: Begun = _NOTHING,
    ) -> None:
        self._listener = listener
        self._hand_over = hand_over
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._begun = begun
        self._unread = begun.unread
        self.since = listener.tick
        """The tick of the last answer, or of the start."""
        self._answering = False
        self._blocked = False
        self._stopping = False

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._connections.add(self)
        if not self._listener.admit(self):
            self.abort()
            return
        if self._begun.unsent:
            self._transport.write(self._begun.unsent)
        if self._begun.close:
            transport.close()
        elif 0 < len(self._unread) < MAX_UNREAD_OCTETS:
            # A full buffer is followed by more at once: it is looked at then.
            self._serve()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()

    @override
    def data_received(self, data: bytes) -> None:
        if not self._unread and not self._answering and not self._blocked:
            listener, transport = self._listener, self._transport
            answer = None if transport is None else listener.answer(data)
            if answer is not None and transport is not None:
                self.since = listener.tick
                transport.write(answer[0])
                if answer[1]:
                    transport.close()
                return
        self._unread = self._unread + data if self._unread else data
        if not self._answering and not self._blocked:
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
        if not self._answering:
            self.abort()

    def abort(self) -> None:
        """End at once."""
        if self._transport is not None:
            self._transport.abort()

    def shutdown(self) -> None:
        """End as soon as the answer that is being made is out."""
        self._stopping = True
        if not self._answering and self._transport is not None:
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
            response: bytes | Pending | None = self._listener.plane.respond(head, body)
            if isinstance(response, Pending):
                later = _Later(self, close=head.close)
                response = self._listener.plane.respond_later(response, later.send)
            if response is None:
                self._write(out)
                self._answering = True
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

    def answered(self, response: bytes, *, close: bool) -> None:
        """Send a response that had to be made, and go on."""
        self._answering = False
        if self._transport is None or self._transport.is_closing():
            return
        self._write([response])
        if close or self._stopping:
            self._transport.close()
        else:
            self._go_on()

    def _go_on(self) -> None:
        if self._transport is None or self._answering or self._blocked:
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


class _Later:
    """The response that a connection waits for."""

    __slots__ = ("_close", "_connection")

    def __init__(self, connection: OCSPConnection, *, close: bool) -> None:
        self._connection = connection
        self._close = close

    def send(self, response: bytes) -> None:
        self._connection.answered(response, close=self._close)
