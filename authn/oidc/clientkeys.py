"""The public keys of a client: registered with it, or fetched from its `jwks_uri`."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from authn.oidc.clientjws import JWK, check_public
from authn.oidc.clientmetadata import MOST_KEYS
from authn.oidc.store import Client
from core.clock import Clock
from core.errors import Malformed, Refused, Unavailable
from core.foreignjson import read_json

_FRESH_FOR: Final = timedelta(minutes=10)
_NOT_AGAIN_FOR: Final = timedelta(seconds=30)
"""However many tokens with unknown keys come, the client's server is asked so often at most."""
_MOST_CLIENTS: Final = 1000


class Fetched(Protocol):
    """An answer of another server."""

    @property
    def status(self) -> int: ...

    @property
    def body(self) -> bytes: ...


class Fetcher(Protocol):
    """Fetches a document from where it may (`core.outbound.Outbound`)."""

    def get(self, url: str) -> Fetched:
        """Raises `Refused` and `Unavailable`."""
        ...


class ClientKeys:
    """Finds the keys of clients. Safe to share between threads."""

    def __init__(self, fetcher: Fetcher | None, *, clock: Clock) -> None:
        self._fetcher = fetcher
        self._clock = clock
        self._fetched: dict[str, tuple[datetime, tuple[JWK, ...]]] = {}
        self._lock = threading.Lock()

    def of(self, client: Client, *, kid: str | None = None) -> tuple[JWK, ...]:
        """Return the keys of a client; fetched anew when none has this `kid`.

        Raises `Unavailable`, `Refused` and `Malformed` when they cannot be had.
        """
        metadata = client.metadata
        if metadata.jwks is not None:
            return parse_jwks(metadata.jwks)
        if metadata.jwks_uri is None:
            return ()
        return self._fetch(metadata.jwks_uri, kid)

    def _fetch(self, url: str, kid: str | None) -> tuple[JWK, ...]:
        now = self._clock.now()
        known = self._fetched.get(url)
        if known is not None:
            at, keys = known
            has = kid is None or any(key.get("kid") == kid for key in keys)
            if now < at + (_FRESH_FOR if has else _NOT_AGAIN_FOR):
                return keys
        if self._fetcher is None:
            raise Refused("this service may call no application (authn.outbound)")
        answer = self._fetcher.get(url)
        if answer.status != 200:
            raise Unavailable(f"{url} answered {answer.status}")
        keys = parse_jwks(read_json(answer.body, what=url))
        with self._lock:
            if len(self._fetched) >= _MOST_CLIENTS:
                self._fetched.clear()
            self._fetched[url] = now, keys
        return keys


def parse_jwks(document: Any) -> tuple[JWK, ...]:
    """Return the keys of a JWK Set (RFC 7517, 5) that we understand; skip the others.

    Raises `Malformed`, also for a set with a private key in it.
    """
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list) or len(keys) > MOST_KEYS:
        raise Malformed(f"a JWK Set has a list of at most {MOST_KEYS} keys")
    return tuple(key for key in keys if isinstance(key, dict))


def check_jwks(document: Any) -> None:
    """Raises `Malformed` for a set that should not be registered."""
    keys = parse_jwks(document)
    if not keys or len(keys) != len(document["keys"]):
        raise Malformed("a JWK Set has at least one key, and each is a JSON object")
    for key in keys:
        check_public(key)
