"""Authenticating a client (RFC 6749, 2.3.1), by the one method it is registered with."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from typing import Final
from urllib.parse import unquote_plus

from authn import opaque
from authn.forms import Fields
from authn.oidc.caller import Caller
from authn.oidc.errors import InvalidClient, InvalidRequest
from authn.oidc.store import AuthMethod, Client, ClientStore
from core.clock import Clock

MAY_REPEAT: Final = frozenset({"resource", "audience"})
"""RFC 8707, 2 and RFC 8693, 2.1: several mean several targets."""


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

    def __init__(self, clients: ClientStore, *, clock: Clock) -> None:
        self._clients = clients
        self._clock = clock

    def authenticate(self, caller: Caller, parameters: Mapping[str, str]) -> Client:
        """Return the client. Raises `InvalidClient`, `InvalidRequest`."""
        if caller.authorization is not None and "client_secret" in parameters:
            raise InvalidRequest("the client authenticates in two ways at once")
        if caller.authorization is not None:
            method, (client_id, secret) = AuthMethod.BASIC, _basic(caller.authorization)
            if parameters.get("client_id", client_id) != client_id:
                raise InvalidRequest("client_id is not the client that authenticates")
        else:
            client_id, secret = parameters.get("client_id", ""), parameters.get("client_secret", "")
            method = AuthMethod.POST if "client_secret" in parameters else AuthMethod.NONE
        client = self._clients.find(client_id)
        if client is None or client.auth_method is not method:
            raise InvalidClient("the client is unknown or authenticates by another method")
        if not client.public:
            check_secret(client, secret, self._clock.now())
        return client


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
