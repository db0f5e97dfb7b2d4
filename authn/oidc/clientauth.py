"""Authenticating a client at the token endpoint (RFC 6749, 2.3.1), by the one method it has."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from urllib.parse import unquote_plus

from authn import opaque
from authn.forms import Fields
from authn.oidc.errors import InvalidClient, InvalidRequest
from authn.oidc.store import AuthMethod, Client, ClientStore


def once(fields: Fields) -> dict[str, str]:
    """Return the parameters of a request. Raises `InvalidRequest` if one is given twice."""
    parameters = dict(fields)
    if len(parameters) != len(fields):
        raise InvalidRequest("a parameter is given twice")
    return parameters


def authenticate_client(
    parameters: Mapping[str, str], authorization: str | None, clients: ClientStore
) -> Client:
    """Return the client. Raises `InvalidClient`, `InvalidRequest`."""
    if authorization is not None and "client_secret" in parameters:
        raise InvalidRequest("the client authenticates in two ways at once")
    if authorization is not None:
        method, (client_id, secret) = AuthMethod.BASIC, _basic(authorization)
        if parameters.get("client_id", client_id) != client_id:
            raise InvalidRequest("client_id is not the client that authenticates")
    else:
        client_id, secret = parameters.get("client_id", ""), parameters.get("client_secret", "")
        method = AuthMethod.POST if "client_secret" in parameters else AuthMethod.NONE
    client = clients.find(client_id)
    if client is None or client.auth_method is not method:
        raise InvalidClient("the client is unknown or authenticates by another method")
    if client.secret_digest is not None and not opaque.matches(secret, client.secret_digest):
        raise InvalidClient("the client secret is wrong")
    return client


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
