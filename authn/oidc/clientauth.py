"""Authenticating a client (RFC 6749, 2.3.1), by the one method it is registered with."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Final, NamedTuple
from urllib.parse import unquote_plus

from authn import opaque
from authn.forms import Fields
from authn.oidc import assertion
from authn.oidc.assertion import ClientAssertions
from authn.oidc.caller import Caller
from authn.oidc.errors import InvalidClient, InvalidRequest
from authn.oidc.mutualtls import CertificateAuthentication
from authn.oidc.store import AuthMethod, Client, ClientStore
from core.clock import Clock
from core.errors import Malformed
from core.steps import Steps, apart

_WITHOUT: Final = (AuthMethod.NONE, AuthMethod.TLS, AuthMethod.SELF_SIGNED_TLS)
"""Where the request itself shows nothing but the client_id."""
_AT_ONCE: Final = (AuthMethod.NONE, AuthMethod.BASIC, AuthMethod.POST)
"""What is checked without reading or calling anything."""
MAY_REPEAT: Final = frozenset({"resource", "audience"})
"""RFC 8707, 2 and RFC 8693, 2.1: several mean several targets."""


class _Shown(NamedTuple):
    """What a request says about its client, not yet believed."""

    client_id: str
    secret: str
    """The secret, or the assertion."""
    methods: tuple[AuthMethod, ...]
    """What it can be."""


def once(fields: Fields) -> dict[str, str]:
    """Return the parameters of a request. Raises `InvalidRequest` if one is given twice."""
    single = [(name, value) for name, value in fields if name not in MAY_REPEAT]
    parameters = dict(single)
    if len(parameters) != len(single):
        raise InvalidRequest("a parameter is given twice")
    return parameters


def every(fields: Fields, name: str) -> tuple[str, ...]:
    """Return all values of a parameter that may repeat, each once."""
    return tuple(dict.fromkeys(value for key, value in fields if key == name))


class ClientAuthentication:
    """Finds out which client calls."""

    def __init__(
        self,
        clients: ClientStore,
        assertions: ClientAssertions,
        certificates: CertificateAuthentication,
        *,
        clock: Clock,
    ) -> None:
        self._clients = clients
        self._assertions = assertions
        self._certificates = certificates
        self._clock = clock

    def authenticate(self, caller: Caller, parameters: Mapping[str, str]) -> Client:
        """Return the client. Raises `InvalidClient`, `InvalidRequest`."""
        shown = self._read(caller, parameters)
        return self._checked(caller, shown, self._clients.find(shown.client_id))

    def authenticating(self, caller: Caller, parameters: Mapping[str, str]) -> Steps[Client]:
        """Return the client, in steps. Raises as `authenticate`."""
        shown = self._read(caller, parameters)
        client = self._clients.recall(shown.client_id)
        if client is None:
            client = yield from apart(partial(self._clients.find, shown.client_id))
        if client is None or client.auth_method in _AT_ONCE:
            return self._checked(caller, shown, client)
        return (yield from apart(partial(self._checked, caller, shown, client)))

    def _checked(self, caller: Caller, shown: _Shown, client: Client | None) -> Client:
        if client is None or client.auth_method not in shown.methods:
            raise InvalidClient("the client is unknown or authenticates by another method")
        method = client.auth_method
        if method.has_secret:
            check_secret(client, shown.secret, self._clock.now())
        elif method is AuthMethod.PRIVATE_KEY_JWT:
            self._assertions.check(shown.secret, client, caller.url)
        elif method is AuthMethod.TLS:
            self._certificates.check_issued(caller.certificate, client)
        elif method is AuthMethod.SELF_SIGNED_TLS:
            self._certificates.check_self_signed(caller.certificate, client)
        return client

    def _read(self, caller: Caller, parameters: Mapping[str, str]) -> _Shown:
        named = parameters.get("client_id")
        ways = [
            caller.authorization is not None,
            "client_secret" in parameters,
            "client_assertion" in parameters,
        ]
        if sum(ways) > 1:
            raise InvalidRequest("the client authenticates in two ways at once")
        if caller.authorization is not None:
            client_id, secret = _basic(caller.authorization)
            shown = _Shown(client_id, secret, (AuthMethod.BASIC,))
        elif "client_assertion" in parameters:
            shown = self._asserted(parameters)
        elif "client_secret" in parameters:
            shown = _Shown(named or "", parameters["client_secret"], (AuthMethod.POST,))
        else:
            shown = _Shown(named or "", "", _WITHOUT)
        if named is not None and named != shown.client_id:
            raise InvalidClient("client_id is not the client that authenticates")
        return shown

    def _asserted(self, parameters: Mapping[str, str]) -> _Shown:
        if parameters.get("client_assertion_type") != assertion.TYPE:
            raise InvalidRequest("client_assertion_type is not the one of RFC 7523")
        text = parameters["client_assertion"]
        try:
            client_id = self._assertions.named_client(text)
        except Malformed as error:
            raise InvalidClient(f"the client assertion is refused: {error}") from error
        return _Shown(client_id, text, (AuthMethod.PRIVATE_KEY_JWT,))


def check_secret(client: Client, secret: str, now: datetime) -> None:
    """Raises `InvalidClient` unless it is the secret, or the one before while that is good."""
    good = client.secret_digest is not None and opaque.matches(secret, client.secret_digest)
    if (
        not good
        and client.older_secret_digest is not None
        and client.older_secret_until is not None
        and now < client.older_secret_until
    ):
        good = opaque.matches(secret, client.older_secret_digest)
    if not good:
        raise InvalidClient("the client secret is wrong")


def _basic(authorization: str) -> tuple[str, str]:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise InvalidClient("the Authorization header is not Basic")
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise InvalidClient("the Authorization header is not base64") from error
    client_id, colon, secret = text.partition(":")
    if not colon:
        raise InvalidClient("the Authorization header has no colon")
    # RFC 6749, 2.3.1: both are form-urlencoded before they are joined.
    return unquote_plus(client_id), unquote_plus(secret)
