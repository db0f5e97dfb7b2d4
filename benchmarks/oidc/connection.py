"""One TLS connection that is kept, on a bare socket: requests are octets, and so are answers.

The callers share two processors with what is measured: whatever they do costs it. `http.client`
takes more for one request and its answer than a provider's TLS does.
"""

from __future__ import annotations

import re
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_LOCATION = re.compile(rb"\r\nlocation: *([^\r]*)\r\n", re.IGNORECASE)
_COOKIE = re.compile(rb"\r\nset-cookie: *([^=\r]*)=([^;\r]*)", re.IGNORECASE)
_AT_ONCE = 65_536


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that has a Content-Length, as those of both providers do."""

    head: bytes
    """From the status line to the empty line."""
    body: bytes

    @property
    def status(self) -> int:
        return int(self.head[9:12])

    @property
    def location(self) -> str:
        """Where it redirects to. Raises `TypeError` if nowhere."""
        return _LOCATION.search(self.head)[1].decode()

    @property
    def cookies(self) -> list[tuple[str, str]]:
        """What it sets; an empty value takes the cookie away."""
        return [(name.decode(), value.decode()) for name, value in _COOKIE.findall(self.head)]


class Connection:
    """Asks one thing after the other. Raises `RuntimeError` for what is not HTTP as expected."""

    def __init__(self, port: int, host: str, trust: Path) -> None:
        """`host` is what the Host header says; TLS is to `localhost`."""
        context = ssl.create_default_context(cafile=trust)
        bare = socket.create_connection(("127.0.0.1", port))
        bare.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = context.wrap_socket(bare, server_hostname="localhost")
        self._host = f"Host: {host}\r\n".encode()

    def get(self, target: str, headers: bytes = b"") -> Answer:
        """`headers`: whole lines, with their ends."""
        return self._ask(b"GET %b HTTP/1.1\r\n%b%b\r\n" % (target.encode(), self._host, headers))

    def post(self, target: bytes, body: bytes, headers: bytes = b"") -> Answer:
        """Send a form."""
        return self._ask(
            b"POST %b HTTP/1.1\r\n%bContent-Type: application/x-www-form-urlencoded\r\n"
            b"Content-Length: %d\r\n%b\r\n%b" % (target, self._host, len(body), headers, body)
        )

    def _ask(self, request: bytes) -> Answer:
        self._socket.sendall(request)
        octets = self._more(b"")
        while (end := octets.find(b"\r\n\r\n")) < 0:
            octets = self._more(octets)
        head = octets[: end + 4]
        length = _LENGTH.search(head)
        if _STATUS.match(head) is None or length is None:
            raise RuntimeError(f"an answer without a Content-Length: {head!r}")
        whole = end + 4 + int(length[1])
        while len(octets) < whole:
            octets = self._more(octets)
        if len(octets) != whole:
            raise RuntimeError("more than an answer came")
        return Answer(head, octets[end + 4 :])

    def _more(self, octets: bytes) -> bytes:
        got = self._socket.recv(_AT_ONCE)
        if not got:
            raise RuntimeError("the provider closed the connection")
        return octets + got
