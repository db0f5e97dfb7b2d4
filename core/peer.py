"""Calling another yinxin over mutual TLS, when its key is known beforehand.

A peer is accepted for its key (SHA-256 of the SubjectPublicKeyInfo), besides a chain of
certificates that holds: who can have certificates issued cannot become a peer by that. Answers
are JSON, bounded in size and time. A call that may be repeated is, once, when a connection that
was kept open turns out to be dead; no other call is.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import queue
import re
import socket
import ssl
import threading
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from core.errors import (
    Conflict,
    Forbidden,
    Malformed,
    NotFound,
    Refused,
    TooLarge,
    TrustError,
    Unavailable,
)

FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}")
MAX_ANSWER_OCTETS: Final = 1024 * 1024
_ERRORS: Final[dict[int, type[TrustError]]] = {
    400: Malformed,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    422: Refused,
}
_NOT_ACCEPTED: Final = (401, 403)


def key_fingerprint(certificate: bytes) -> str:
    """Return SHA-256 over the SubjectPublicKeyInfo of a certificate, lowercase hex."""
    key = x509.load_der_x509_certificate(certificate).public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).hexdigest()


def check_peer_url(url: str) -> str:
    """Return ``https://host[:port]``. Raises `ValueError` that says what it must look like."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or url != f"https://{parts.netloc}":
        raise ValueError(f"must be https://host[:port] without a path, not {url!r}")
    if parts.username is not None or parts.port == 0:
        raise ValueError(f"must be https://host[:port], not {url!r}")
    return url


def check_fingerprints(values: tuple[str, ...]) -> tuple[str, ...]:
    """Return them. Raises `ValueError` for what is no SHA-256 in lowercase hex."""
    for value in values:
        if FINGERPRINT.fullmatch(value) is None:
            raise ValueError(f"{value!r} is not a SHA-256 in lowercase hex")
    return values


class Peer:
    """Another service, and at most `connections` connections to it. Safe to share.

    `check` is given the certificate that the peer shows, and raises when it does not hold.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str,
        keys: frozenset[str],
        context: Callable[[], ssl.SSLContext],
        timeout_seconds: float,
        connections: int = 8,
        check: Callable[[bytes], object] = lambda _: None,
    ) -> None:
        parts = urlsplit(check_peer_url(url))
        self._host, self._port = parts.hostname or "", parts.port or 443
        self._name = name
        self._keys = keys
        self._context = context
        self._check = check
        self._timeout = timeout_seconds
        self._slots = threading.BoundedSemaphore(connections)
        self._idle: queue.LifoQueue[HTTPSConnection] = queue.LifoQueue()

    def post(self, path: str, body: dict[str, Any], *, repeatable: bool) -> Any:
        """Send JSON and return the parsed answer, None for an empty one.

        `repeatable`: the same call twice does what it does once. Raises `Unavailable` when the
        peer cannot be reached, is not the peer, or answers nonsense; and what it refuses with.
        """
        # A peer that hangs must not take every thread of this service with it.
        if not self._slots.acquire(timeout=self._timeout):
            raise Unavailable(f"{self._name} is too slow: too many calls wait for it")
        try:
            octets = json.dumps(body, ensure_ascii=False).encode()
            status, answer = self._send(path, octets, repeatable=repeatable)
        finally:
            self._slots.release()
        return self._read(status, answer)

    def close(self) -> None:
        """Close what is idle."""
        while True:
            try:
                self._idle.get_nowait().close()
            except queue.Empty:
                return

    def _send(self, path: str, body: bytes, *, repeatable: bool) -> tuple[int, bytes]:
        kept = self._kept() if repeatable else None
        if kept is not None:
            try:
                return self._exchange(kept, path, body)
            except (OSError, HTTPException):
                kept.close()  # it was closed while idle; the call may be repeated
        try:
            connection = self._connect()
        except (OSError, HTTPException, ValueError) as error:
            raise self._unreachable(error) from error
        try:
            return self._exchange(connection, path, body)
        except (OSError, HTTPException) as error:
            connection.close()
            raise self._unreachable(error) from error

    def _kept(self) -> HTTPSConnection | None:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return None

    def _connect(self) -> HTTPSConnection:
        connection = HTTPSConnection(
            self._host, self._port, timeout=self._timeout, context=self._context()
        )
        connection.connect()
        shown = connection.sock.getpeercert(binary_form=True)
        if shown is None or key_fingerprint(shown) not in self._keys:
            connection.close()
            raise Unavailable(f"{self._name} shows a key that is not the one it must have")
        try:
            self._check(shown)
        except TrustError:
            connection.close()
            raise
        return connection

    def _exchange(self, connection: HTTPSConnection, path: str, body: bytes) -> tuple[int, bytes]:
        # However slowly the peer answers: when the time is over, the connection is gone.
        expiry = threading.Timer(self._timeout, _abort, (connection.sock,))
        expiry.daemon = True
        expiry.start()
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            octets = _bounded(answer)
        finally:
            expiry.cancel()
        if answer.will_close:
            connection.close()
        else:
            self._idle.put(connection)
        return answer.status, octets

    def _unreachable(self, error: Exception) -> Unavailable:
        return Unavailable(f"{self._name} cannot be reached: {str(error) or type(error).__name__}")

    def _read(self, status: int, octets: bytes) -> Any:
        try:
            answer: Any = json.loads(octets) if octets else None
            if 200 <= status < 300:
                return answer
            detail = str(answer["detail"])[:1000]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Unavailable(f"{self._name} answered {status}, not as it should") from error
        if status in _NOT_ACCEPTED:
            raise Unavailable(f"{self._name} does not accept this host: {detail}")
        raise _ERRORS.get(status, Unavailable)(detail)


def require_key(certificate: bytes | None, keys: frozenset[str], *, what: str) -> str:
    """Return the fingerprint of the caller's key if it is one of `keys`. Raises `Forbidden`."""
    if certificate is not None:
        fingerprint = key_fingerprint(certificate)
        if fingerprint in keys:
            return fingerprint
    raise Forbidden(f"this is for {what} only, and the key of the certificate shown is not its key")


def _abort(sock: socket.socket) -> None:
    # Shut down and not closed: the thread that reads must see an end, not a foreign descriptor.
    # Below TLS: `SSLSocket.shutdown` would let that thread go on in clear.
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _bounded(answer: HTTPResponse) -> bytes:
    octets = answer.read(MAX_ANSWER_OCTETS + 1)
    if len(octets) > MAX_ANSWER_OCTETS:
        raise HTTPException("the answer is too long")
    return octets
