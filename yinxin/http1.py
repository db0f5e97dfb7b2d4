"""HTTP/1.1 on one connection: uvicorn's protocol with llhttp, and with the limits that it lacks."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from starlette.responses import Response
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from core.errors import Malformed
from core.http import (
    CLIENT_CERTIFICATE,
    App,
    Receive,
    RequestId,
    Scope,
    Send,
    new_request_id,
    problem_of,
)
from core.plain import Plain, PlainRequest

HEAD_SECONDS = 30
"""How long a caller may take for the head of a request, and be silent between two."""
_MAX_HEAD_OCTETS: Final = 16_384
_BODY_SECONDS: Final = 1
"""A body of a plain request that is not there by then is waited for as any other one."""
_MOST_DIGITS: Final = 6


class _NoEvent:
    """What uvicorn wakes, where nobody waits."""

    def set(self) -> None:
        pass


class _Answering:
    """A plain request under way, with what uvicorn's protocol asks of one."""

    __slots__ = (
        "begun",
        "body",
        "disconnected",
        "handler",
        "headers",
        "keep_alive",
        "message_event",
        "more_body",
        "response_complete",
        "timer",
    )
    _event: Final = _NoEvent()

    def __init__(self, handler: Plain, headers: list[tuple[bytes, bytes]]) -> None:
        self.handler = handler
        self.headers = headers
        self.body = bytearray()
        self.more_body = True
        self.begun = False
        self.timer: asyncio.TimerHandle | None = None
        """Until the body has to be there. Armed once, so that octet after octet does not help."""
        self.keep_alive = True
        self.disconnected = False
        self.response_complete = False
        self.message_event = _Answering._event


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
    _certificate: bytes | None = None

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()
        tls = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True) if tls is not None else None
        if certificate:
            self._certificate = certificate
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
        handler = self._plain_handler()
        if handler is None:
            super().on_headers_complete()
        else:
            self.cycle = _Answering(handler, self.headers)  # type: ignore[assignment]  # it does for one

    @override
    def on_message_complete(self) -> None:
        self._in_head = True
        super().on_message_complete()
        answering: object = self.cycle
        if isinstance(answering, _Answering) and not answering.response_complete:
            self._answer(answering)

    def _plain_handler(self) -> Plain | None:
        """Return what answers the request whose head was read, if nothing is unusual about it."""
        app = self.config.loaded_app
        routes = app.plain if isinstance(app, RequestId) else None
        if routes is None:
            return None
        parser, (path, mark, _) = self.parser, self.url.partition(b"?")
        handler = routes.handlers.get((parser.get_method(), path))
        if (
            handler is None
            or b"#" in self.url  # not part of a target (RFC 9112, 3.2.1)
            or parser.get_http_version() != "1.1"
            or not parser.should_keep_alive()
            or parser.should_upgrade()
            or self.expect_100_continue
            or self.flow.write_paused
            or not getattr(self.cycle, "response_complete", True)  # pipelined
            or len(self.connections) >= (self.limit_concurrency or len(self.connections) + 1)
        ):
            return None
        encoded = any(name == b"transfer-encoding" for name, _ in self.headers)
        lengths = [value for name, value in self.headers if name == b"content-length"]
        if parser.get_method() == b"GET":
            plain = not lengths
        else:
            plain = not mark and len(lengths) == 1 and _within(lengths[0], routes.octets)
        return handler if plain and not encoded else None

    def _answer(self, answering: _Answering) -> None:
        answering.begun = True
        if answering.timer is not None:
            answering.timer.cancel()
        request = self._plain_request(answering)

        def give(response: Response) -> None:
            self._write(answering, response, request.request_id)

        try:
            if not answering.handler(request, give):
                self._go_the_long_way(answering)
        except Exception as error:
            if answering.response_complete:
                raise
            give(problem_of(error, request.request_id))

    def _plain_request(self, answering: _Answering) -> PlainRequest:
        path, _, query = self.url.partition(b"?")
        scope, request_id = dict[str, Any](self.scope), new_request_id()
        scope["method"] = self.parser.get_method().decode("ascii")
        scope["path"], scope["raw_path"], scope["query_string"] = path.decode("ascii"), path, query
        scope["yinxin.request_id"] = request_id
        if self._certificate is not None:
            scope[CLIENT_CERTIFICATE] = self._certificate
        return PlainRequest(
            answering.headers, bytes(answering.body), self._certificate, scope, request_id
        )

    def _go_the_long_way(self, answering: _Answering) -> None:
        """Have the application answer, with as much of the body as is there."""
        self.cycle = None  # type: ignore[assignment]  # as at the beginning
        HttpToolsProtocol.on_headers_complete(self)
        cycle: Any = self.cycle
        cycle.body += answering.body
        cycle.more_body = answering.more_body
        cycle.message_event.set()

    def _write(self, answering: _Answering, response: Response, request_id: str) -> None:
        if answering.response_complete:
            raise RuntimeError("a request is answered once")
        answering.response_complete = True
        if answering.disconnected or self.transport.is_closing():
            return
        values = b"".join([value for _, value in response.raw_headers])
        if b"\n" in values or b"\r" in values:
            response = problem_of(RuntimeError("a header with a line break"), request_id)
        headers = [*self.server_state.default_headers, *response.raw_headers]
        headers.append((b"x-request-id", request_id.encode()))
        if not answering.keep_alive:
            headers.append((b"connection", b"close"))
        lines = b"".join([b"%b: %b\r\n" % header for header in headers])
        self.transport.write(
            b"%b%b\r\n%b" % (STATUS_LINE[response.status_code], lines, bytes(response.body))
        )
        if not answering.keep_alive:
            self.transport.close()
        self.on_response_complete()

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
        answering: object = self.cycle
        waiting = getattr(answering, "response_complete", True)
        if not waiting or self.transport.is_closing():
            self._forget()
            if isinstance(answering, _Answering):
                self._wait_for_body(answering)
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _wait_for_body(self, answering: _Answering) -> None:
        if answering.begun or answering.timer is not None or self.transport.is_closing():
            return

        def late() -> None:
            if not answering.begun and not self.transport.is_closing():
                answering.begun = True
                self._go_the_long_way(answering)

        answering.timer = self.loop.call_later(_BODY_SECONDS, late)

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _within(length: bytes, octets: int) -> bool:
    return len(length) <= _MOST_DIGITS and length.isdigit() and int(length) <= octets


def _with_certificate(app: Any, certificate: bytes) -> App:
    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        scope[CLIENT_CERTIFICATE] = certificate
        await app(scope, receive, send)

    return inner
