"""Calling addresses that other people registered: https, to allowed networks, and nowhere else.

A relying party tells us where it wants to be called (back-channel logout, keys). Without a limit
whoever registers one makes this service a way into every network that it can reach. So the name is
resolved here, once, and the connection goes to the very address that was judged; redirects are not
followed; time and size of the answer are bounded.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse, HTTPSConnection
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urlencode, urlsplit

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import override

from core.errors import Refused, Unavailable

MAX_ANSWER_OCTETS: Final = 128 * 1024
_MOST_IDLE: Final = 16
"""So many connections to one place are kept open."""
_IDLE_SECONDS: Final = 30
"""One that was idle for longer is not used again: a firewall may have forgotten it."""


class OutboundConfig(BaseModel):
    """Which places of others this service may call."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    allowed_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    """Networks in CIDR notation that addresses given by applications may be in. None: no call."""
    timeout_seconds: float = Field(default=5.0, gt=0, le=60)
    """For one call from its beginning to its end."""
    trust_file: Path | None = None
    """More CA certificates (PEM) to trust, besides those of the system and our own."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered: at most `MAX_ANSWER_OCTETS`."""

    status: int
    body: bytes


def check_outbound_url(url: str, *, what: str) -> str:
    """Return `url` if it may be registered to be called. Raises `Refused` with the rule."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise Refused(f"{what} cannot be read: {url!r}") from error
    if parts.scheme != "https" or not parts.hostname:
        raise Refused(f"{what} must be https://host/…, not {url!r}")
    if "@" in parts.netloc or "#" in url or not url.isascii() or not url.isprintable():
        raise Refused(f"{what} has no user information, no fragment and is ASCII: {url!r}")
    if " " in url or len(url) > 2000:
        raise Refused(f"{what} has no space and at most 2000 characters")
    return url


class _CallSocket(ssl.SSLSocket):
    """A connection on which no read or write lasts longer than the call that it serves.

    The timeout of a socket is for one operation: whoever answers an octet at a time would hold the
    caller for as long as it likes.
    """

    ends_at: float | None = None
    """`time.monotonic` at the end of the call."""

    @override
    def send(self, data: Any, flags: int = 0) -> int:
        self._spend()
        return super().send(data, flags)

    @override
    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        self._spend()
        return super().recv_into(buffer, nbytes, flags)

    def _spend(self) -> None:
        if self.ends_at is not None:
            self.settimeout(_left(self.ends_at))


class Outbound:
    """Calls, each bounded. Safe to share between threads; `context` verifies the other side."""

    def __init__(self, config: OutboundConfig, context: ssl.SSLContext) -> None:
        self._networks = config.allowed_networks
        self._timeout = config.timeout_seconds
        self._context = context
        self._context.sslsocket_class = _CallSocket
        self._idle: dict[tuple[str, int], queue.LifoQueue[tuple[HTTPSConnection, float]]] = {}
        self._closed = False

    @property
    def allows_any(self) -> bool:
        """Whether there is a network to call at all (`authn.outbound.allowed_networks`)."""
        return bool(self._networks)

    def post_form(self, url: str, fields: Mapping[str, str]) -> Answer:
        """Post a form that may arrive twice. Raises `Refused` (not allowed) and `Unavailable`."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._call("POST", url, urlencode(fields).encode("ascii"), headers)

    def get(self, url: str) -> Answer:
        """Fetch a document. Raises `Refused` (not allowed) and `Unavailable`."""
        return self._call("GET", url, None, {"Accept": "application/json"})

    def close(self) -> None:
        """Close what is idle; what is under way is closed when it ends."""
        self._closed = True
        for kept in list(self._idle.values()):
            with contextlib.suppress(queue.Empty):
                while True:
                    kept.get_nowait()[0].close()

    def _call(self, method: str, url: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        parts = urlsplit(check_outbound_url(url, what="the address to call"))
        place = (parts.hostname or "", parts.port or 443)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        request = (method, target, body, headers)
        ends_at = time.monotonic() + self._timeout
        kept = self._kept(place)
        if kept is not None:
            try:
                return self._exchange(place, kept, request, ends_at)
            except (OSError, HTTPException):
                kept.close()  # closed by the other side while it was idle
        try:
            connection = self._connect(*place, ends_at)
        except (OSError, HTTPException, ValueError) as error:
            raise _unreachable(place, error) from error
        try:
            return self._exchange(place, connection, request, ends_at)
        except (OSError, HTTPException) as error:
            connection.close()
            raise _unreachable(place, error) from error

    def _connect(self, host: str, port: int, ends_at: float) -> HTTPSConnection:
        """Connect to an allowed address of `host`, and to that address alone."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [str(entry[4][0]) for entry in found]
        allowed = [address for address in addresses if self._allows(address)]
        if not allowed:
            raise Refused(
                f"{host} is {', '.join(dict.fromkeys(addresses))}, which is in none of "
                "authn.outbound.allowed_networks"
            )
        raw = socket.create_connection((allowed[0], port), timeout=_left(ends_at))
        connection = HTTPSConnection(host, port, context=self._context)
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            raw.settimeout(_left(ends_at))  # of the whole handshake
            connection.sock = self._context.wrap_socket(raw, server_hostname=host)
        except BaseException:
            raw.close()
            raise
        return connection

    def _allows(self, address: str) -> bool:
        # An IPv4 address in IPv6 clothing is judged as what it is.
        judged = ip_address(address.partition("%")[0])
        mapped = getattr(judged, "ipv4_mapped", None)
        judged = judged if mapped is None else mapped
        return any(
            judged.version == network.version and judged in network for network in self._networks
        )

    def _exchange(
        self,
        place: tuple[str, int],
        connection: HTTPSConnection,
        request: tuple[str, str, bytes | None, dict[str, str]],
        ends_at: float,
    ) -> Answer:
        cast("_CallSocket", connection.sock).ends_at = ends_at
        connection.request(*request)
        answer = connection.getresponse()
        body = _bounded(answer)
        if answer.will_close:
            connection.close()
        else:
            self._keep(place, connection)
        return Answer(answer.status, body)

    def _keep(self, place: tuple[str, int], connection: HTTPSConnection) -> None:
        kept = self._idle.setdefault(place, queue.LifoQueue(_MOST_IDLE))
        try:
            kept.put_nowait((connection, time.monotonic()))
        except queue.Full:
            connection.close()
        if self._closed:
            self.close()

    def _kept(self, place: tuple[str, int]) -> HTTPSConnection | None:
        kept = self._idle.get(place)
        while kept is not None:
            try:
                connection, since = kept.get_nowait()
            except queue.Empty:
                return None
            if time.monotonic() - since < _IDLE_SECONDS:
                return connection
            connection.close()
        return None


def _left(ends_at: float) -> float:
    """Return the seconds until then. Raises `TimeoutError` when there are none."""
    left = ends_at - time.monotonic()
    if left <= 0:
        raise TimeoutError("the time for the call is over")
    return left


def _bounded(answer: HTTPResponse) -> bytes:
    body = answer.read(MAX_ANSWER_OCTETS + 1)
    if len(body) > MAX_ANSWER_OCTETS:
        raise HTTPException(f"the answer has more than {MAX_ANSWER_OCTETS} octets")
    return body


def _unreachable(place: tuple[str, int], error: Exception) -> Unavailable:
    why = str(error) or type(error).__name__
    return Unavailable(f"{place[0]} port {place[1]} was not reached: {why}")


def trusting(config: OutboundConfig, pem: str) -> ssl.SSLContext:
    """Return a context that trusts the system, `trust_file` and the certificates in `pem`."""
    context = ssl.create_default_context(cadata=pem or None)
    # `create_default_context` leaves out the system's when it is given others.
    context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if config.trust_file is not None:
        context.load_verify_locations(cafile=config.trust_file)
    return context
