"""Speaking HTTP with an OCSP responder, anybody's (RFC 6960, appendix A)."""

from __future__ import annotations

import http.client
import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit

from core.errors import Malformed, Refused, Unavailable
from crl.ocsp.verification import MAX_RESPONSE_OCTETS

TIMEOUT_SECONDS: Final = 15
_LONGEST_GET: Final = 255
"""RFC 6960, A.1: what is longer is posted."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    body: bytes
    fields: Mapping[str, str]
    """HTTP fields; their names in lower case."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Address:
    """Where a responder is."""

    host: str
    port: int
    path: str
    """Without "/" at its end."""
    tls: bool

    @property
    def named(self) -> str:
        """What stands in the Host field."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


def parse_address(url: str) -> Address:
    """Take a URL apart. Raises `Malformed`."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Malformed(f"{url} is no URL: {error}") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query:
        raise Malformed(f"a responder's URL is like http://pki.example.cn/ocsp, not {url}")
    tls = parts.scheme == "https"
    return Address(parts.hostname, port or (443 if tls else 80), parts.path.rstrip("/"), tls)


def message(address: Address, request: bytes, *, post: bool, close: bool) -> bytes:
    """Return the HTTP request that carries an OCSP request, for a raw connection."""
    more = "Connection: close\r\n" if close else ""
    head = f"Host: {address.named}\r\nUser-Agent: yinxin\r\n{more}"
    path = get_path(address, request)
    if not post and len(path) <= _LONGEST_GET:
        return f"GET {path} HTTP/1.1\r\n{head}\r\n".encode()
    line = f"POST {address.path or '/'} HTTP/1.1\r\n"
    size = f"Content-Type: application/ocsp-request\r\nContent-Length: {len(request)}\r\n"
    return f"{line}{head}{size}\r\n".encode() + request


def get_path(address: Address, request: bytes) -> str:
    """Return the path of a GET, base64 escaped as every server takes it."""
    return f"{address.path}/{quote(b64encode(request).decode(), safe='')}"


def ask(address: Address, request: bytes, *, post: bool) -> Reply:
    """Ask once. Raises `Unavailable` and `Refused`."""
    kind = http.client.HTTPSConnection if address.tls else http.client.HTTPConnection
    connection = kind(address.host, address.port, timeout=TIMEOUT_SECONDS)
    began = time.monotonic()
    try:
        path = get_path(address, request)
        if post or len(path) > _LONGEST_GET:
            headers = {"Content-Type": "application/ocsp-request"}
            connection.request("POST", address.path or "/", request, headers)
        else:
            connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read(MAX_RESPONSE_OCTETS + 1)
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise Unavailable(f"{address.named} does not answer: {reason}") from error
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise Refused(f"{address.named} says HTTP {answer.status} {answer.reason}, not 200")
    fields = {name.lower(): value for name, value in answer.getheaders()}
    return Reply(body, fields, time.monotonic() - began)
