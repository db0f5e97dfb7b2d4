"""A small HTTPS client for the command line, from the standard library."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any

from core.errors import Forbidden, NotFound, Refused, TrustError, Unauthenticated, Unavailable

_TIMEOUT_SECONDS = 30
_MAX_ANSWER_OCTETS = 512 * 1024 * 1024
_ERRORS: dict[int, type[TrustError]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    503: Unavailable,
}


@dataclass(frozen=True, slots=True)
class Client:
    """Calls the API of a running service, as one administrator."""

    server: str
    """https://host:port"""
    token: str | None
    trust: Path | None
    """PEM of the root to trust; None: the system's roots."""
    certificate: Path | None = None
    """PEM of a client certificate and its key, instead of a token."""

    def get(self, path: str, **query: str | int | None) -> bytes:
        """Return the body of a GET. Raises the error that the problem document says."""
        given = {key: value for key, value in query.items() if value is not None}
        suffix = f"?{urllib.parse.urlencode(given)}" if given else ""
        return self._call("GET", f"/api/v1{path}{suffix}", None, {})

    def get_json(self, path: str, **query: str | int | None) -> Any:
        """Return the parsed body of a GET."""
        return self._parsed(self.get(path, **query))

    def post(self, path: str, body: object, **headers: str) -> Any:
        """Return the parsed answer to a POST of JSON."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self._call("POST", f"/api/v1{path}", json.dumps(body).encode(), named)
        return self._parsed(answer) if answer else None

    def post_octets(self, path: str, octets: bytes, **query: str | None) -> Any:
        """Return the parsed answer to a POST of octets."""
        given = {key: value for key, value in query.items() if value is not None}
        named = {"Content-Type": "application/octet-stream"}
        target = f"/api/v1{path}?{urllib.parse.urlencode(given)}"
        return self._parsed(self._call("POST", target, octets, named))

    def take_octets(self, path: str, body: object = None) -> bytes:
        """Return the octets that a POST of JSON, or of nothing, gives."""
        return self._call("POST", f"/api/v1{path}", json.dumps(body or {}).encode(), {})

    def delete(self, path: str) -> Any:
        """Send a DELETE; return the parsed answer, or None."""
        answer = self._call("DELETE", f"/api/v1{path}", None, {})
        return self._parsed(answer) if answer else None

    def _call(self, method: str, target: str, body: bytes | None, headers: dict[str, str]) -> bytes:
        check_server(self.server)
        request = urllib.request.Request(  # noqa: S310  (https is checked above)
            self.server.rstrip("/") + target, data=body, method=method, headers=headers
        )
        if body is not None and not request.has_header("Content-type"):
            request.add_header("Content-Type", "application/json")
        if self.token is not None:
            request.add_header("Authorization", f"Bearer {self.token}")
        try:
            with urllib.request.urlopen(  # noqa: S310
                request, timeout=_TIMEOUT_SECONDS, context=tls_context(self.trust, self.certificate)
            ) as answer:
                octets: bytes = answer.read(_MAX_ANSWER_OCTETS + 1)
        except urllib.error.HTTPError as error:
            raise _problem(error) from error
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise Unavailable(f"cannot reach {self.server}: {reason}") from error
        if len(octets) > _MAX_ANSWER_OCTETS:
            raise Refused(f"the answer of {self.server} is longer than {_MAX_ANSWER_OCTETS} octets")
        return octets

    def _parsed(self, answer: bytes) -> Any:
        try:
            return json.loads(answer)
        except ValueError as error:
            raise Refused(f"{self.server} is not a yinxin: its answer is not JSON") from error


def tls_context(trust: Path | None, certificate: Path | None = None) -> ssl.SSLContext:
    """Return a context that trusts the root in a file. Raises `Refused`."""
    try:
        context = ssl.create_default_context(cafile=trust)
        if certificate is not None:
            context.load_cert_chain(certificate)
    except (OSError, ssl.SSLError) as error:
        raise Refused(f"cannot read the certificates given: {error}") from error
    return context


def check_server(server: str) -> None:
    """Raises `Refused` for what is not the address of a service."""
    try:
        parts = urllib.parse.urlsplit(server)
        port = parts.port
    except ValueError:
        parts, port = urllib.parse.urlsplit(""), None
    plain = server.isascii() and server.isprintable() and " " not in server
    if parts.scheme != "https" or not parts.hostname or port == 0 or not plain:
        raise Refused(f"the server must be an address like https://host:port, not {server!r}")


def _problem(error: urllib.error.HTTPError) -> TrustError:
    try:
        detail = str(json.loads(error.read(65_536))["detail"])
    except (ValueError, KeyError, TypeError):
        detail = f"the server answered {error.code}"
    if error.code == HTTPStatus.UNAUTHORIZED:
        # The server does not tell strangers why. Here somebody did show something.
        detail = "the server does not accept the token or certificate: unknown, revoked or expired"
    return _ERRORS.get(error.code, Refused)(detail)
