"""Pushed authorization requests (RFC 9126): the client sends them itself, before the browser."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from authn import opaque
from authn.forms import Fields
from authn.oidc.binding import SenderBinding
from authn.oidc.caller import Caller
from authn.oidc.clientauth import ClientAuthentication, once
from authn.oidc.errors import InvalidRequest
from authn.oidc.store import Client
from core.clock import Clock

PREFIX: Final = "urn:ietf:params:oauth:request_uri:"
_AUTHENTICATION: Final = frozenset({"client_secret", "client_assertion", "client_assertion_type"})


@dataclass(frozen=True, slots=True)
class PushedRequest:
    """A request that a client pushed, checked."""

    digest: bytes
    client_id: str
    fields: Fields
    signed: bool
    """It came in a request object."""
    expires_at: datetime
    used_at: datetime | None = None


class PushedRequestStore(Protocol):
    """Pushed requests."""

    def add_pushed(self, request: PushedRequest) -> None: ...

    def find_pushed(self, digest: bytes) -> PushedRequest | None: ...

    def use_pushed(self, digest: bytes, now: datetime) -> bool:
        """Compare and set: True for exactly one caller."""
        ...


class Checked(Protocol):
    """A request that passed every check (`authn.oidc.draft.Draft`)."""

    fields: Fields
    signed: bool


class PushedRequests:
    """Finds pushed requests by their `request_uri`; each leads to one answer."""

    def __init__(self, store: PushedRequestStore, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def find(self, request_uri: str, client: Client) -> PushedRequest:
        """Return a request of this client that can still be used. Raises `InvalidRequest`."""
        found = self._store.find_pushed(opaque.digest(request_uri))
        if found is None or found.client_id != client.id:
            raise InvalidRequest("there is no such request_uri of this client")
        if found.used_at is not None or self._clock.now() >= found.expires_at:
            raise InvalidRequest("the request_uri was used or has expired; start again")
        return found

    def use(self, digest: bytes) -> None:
        """Spend a request, when its answer is given. Raises `InvalidRequest` the second time."""
        if not self._store.use_pushed(digest, self._clock.now()):
            raise InvalidRequest("the request_uri was used; start again")


class PushedAuthorizationEndpoint:
    """Takes requests, after all checks that the authorization endpoint would make."""

    def __init__(
        self,
        authentication: ClientAuthentication,
        binding: SenderBinding,
        store: PushedRequestStore,
        check: Callable[[Fields], Checked],
        *,
        seconds: int,
        clock: Clock,
    ) -> None:
        self._authentication = authentication
        self._binding = binding
        self._store = store
        self._check = check
        self._seconds = seconds
        self._clock = clock

    def push(self, caller: Caller) -> Mapping[str, Any]:
        """Return `request_uri` and `expires_in` (2.2). Raises `OAuthError`."""
        parameters = once(caller.fields)
        client = self._authentication.authenticate(caller, parameters)
        if "request_uri" in parameters:
            raise InvalidRequest("a pushed request has no request_uri (RFC 9126, 2.1)")
        left_out = _AUTHENTICATION | {"client_id"}
        fields = [pair for pair in caller.fields if pair[0] not in left_out]
        checked = self._check([*fields, ("client_id", client.id)])
        uri = opaque.draw(PREFIX)
        expires_at = self._clock.now() + timedelta(seconds=self._seconds)
        self._store.add_pushed(
            PushedRequest(
                digest=uri.digest,
                client_id=client.id,
                fields=self._bound(checked.fields, caller),
                signed=checked.signed,
                expires_at=expires_at,
            )
        )
        return {"request_uri": uri.secret, "expires_in": self._seconds}

    def _bound(self, fields: Fields, caller: Caller) -> Fields:
        """Return what counts of a request with the key of its proof (RFC 9449, 10.1).

        After the checks: a request object may name a key too, and what stands beside it does not
        count. Raises `OAuthError` if they are two.
        """
        named = dict(fields).get("dpop_jkt")
        announced = self._binding.announced(caller, named)
        if announced is None or named is not None:
            return tuple(fields)
        return (*fields, ("dpop_jkt", announced.thumbprint))


def encode_fields(fields: Fields) -> str:
    """Return what a row keeps of the parameters."""
    return json.dumps(list(fields), ensure_ascii=False, separators=(",", ":"))


def decode_fields(text: str) -> Fields:
    """Return what `encode_fields` was given."""
    return tuple((name, value) for name, value in json.loads(text))
