"""HTTP/1.1 on one connection: uvicorn's protocol with llhttp, and with the limits that it lacks."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from core.errors import Malformed
from core.http import CLIENT_CERTIFICATE, App, Receive, Scope, Send

HEAD_SECONDS = 30
"""How long a caller may take for the head of a request, and be silent between two."""
_MAX_HEAD_OCTETS: Final = 16_384


class HTTPConnection(HttpToolsProtocol):
    """Gives the caller's TLS certificate to the application, and has an end to waiting.

    The certificate (DER) comes from TLS: no header can forge it. A caller who does not finish the
    head of a request within `HEAD_SECONDS` and `_MAX_HEAD_OCTETS` is cut off; uvicorn would wait
    and gather for ever, and a thousand silent connections would be all that are served. (The body:
    `core.http.BodyLimit`.)
    """

    _deadline: asyncio.TimerHandle | None = None
    _in_head = True
    _head_octets = 0

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()
        tls = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True) if tls is not None else None
        if certificate:
            self.app = _with_certificate(self.app, certificate)

    @override
    def data_received(self, data: bytes) -> None:
        if self._in_head:
            room = _MAX_HEAD_OCTETS - self._head_octets
            self._head_octets += len(data)
            if len(data) > room:
                data = self._after_head(data, room)
        if not self.transport.is_closing():
            super().data_received(data)
        self._watch()

    def _after_head(self, data: bytes, room: int) -> bytes:
        """Read the head in what there is room for; return the rest."""
        super().data_received(data[:room])
        if self._in_head and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")
        return data[room:]

    @override
    def on_headers_complete(self) -> None:
        self._in_head, self._head_octets = False, 0
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() == "1.1"):
            raise Malformed("a request has one Host (RFC 9112, 3.2)")  # answered with 400
        super().on_headers_complete()

    @override
    def on_message_complete(self) -> None:
        self._in_head = True
        super().on_message_complete()

    @override
    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._forget()

    def _watch(self) -> None:
        # Nothing is under way, or the answer is out and the rest of a refused body is thrown away.
        waiting = getattr(self.cycle, "response_complete", True)
        if not waiting or self.transport.is_closing():
            self._forget()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _with_certificate(app: Any, certificate: bytes) -> App:
    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        scope[CLIENT_CERTIFICATE] = certificate
        await app(scope, receive, send)

    return inner
