"""Request objects: authorization requests that the client signed (JAR, RFC 9101)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from authn.forms import Fields
from authn.oidc import clientjws
from authn.oidc.clientkeys import ClientKeys
from authn.oidc.errors import OAuthError
from authn.oidc.issuers import IssuerOf
from authn.oidc.store import Client
from core.clock import Clock
from core.errors import InvalidSignature, Malformed, Refused, Unavailable

TYPES: Final = ("oauth-authz-req+jwt", "JWT", None)
"""RFC 9101, 10.8 defines the first; OpenID Connect's request objects are older than it."""
_SKEW: Final = timedelta(seconds=15)
_LONGEST: Final = timedelta(minutes=60)
_ABOUT_THE_JWT: Final = frozenset({"iss", "aud", "exp", "nbf", "iat", "jti", "sub", "client_id"})


class RequestObjects:
    """Reads request objects: only what is signed in them counts (RFC 9101, 6.3)."""

    def __init__(self, keys: ClientKeys, *, issuer: IssuerOf, clock: Clock) -> None:
        self._keys = keys
        self._issuer_of = issuer
        self._clock = clock

    def read(self, token: str, client: Client) -> Fields:
        """Return the parameters. Raises `OAuthError` invalid_request_object."""
        try:
            return self._read(token, client)
        except (Malformed, InvalidSignature, Refused) as error:
            raise OAuthError(
                "invalid_request_object", f"the request object is refused: {error}"
            ) from error
        except Unavailable as error:
            raise OAuthError(
                "invalid_request_object", "the client's keys cannot be fetched at the moment"
            ) from error

    def _read(self, token: str, client: Client) -> Fields:
        if clientjws.is_unsigned(token):
            raise OAuthError("request_not_supported", "unsigned request objects are not supported")
        algorithms = allowed(client)
        header = clientjws.read_header(token, algorithms)
        if header.get("typ") not in TYPES:
            raise Malformed("its typ is not oauth-authz-req+jwt")
        keys = self._keys.of(client, kid=header.get("kid"))
        claims = clientjws.verify(token, keys, algorithms).claims
        if claims.get("client_id", claims.get("iss")) != client.id:
            raise Malformed("its client_id is another client")
        if claims.get("iss", client.id) != client.id or claims.get("sub") == client.id:
            # sub with the client_id would make it a client assertion (RFC 9101, 10.8).
            raise Malformed("its iss is not the client, or its sub is")
        if {"request", "request_uri"} & claims.keys():
            raise Malformed("a request object has no request or request_uri in it")
        self._check_audience_and_times(claims, client)
        return [
            (name, _text(name, value))
            for name, value in claims.items()
            if name not in _ABOUT_THE_JWT and value is not None
        ]

    def _check_audience_and_times(self, claims: Mapping[str, Any], client: Client) -> None:
        strict = client.metadata.is_fapi2 or client.metadata.require_signed_request_object
        issuer = self._issuer_of(client)
        audience = claims.get("aud", None if strict else issuer)
        if audience != issuer and not (isinstance(audience, list) and issuer in audience):
            raise Malformed("its aud is not the issuer identifier")
        now = self._clock.now()
        exp, nbf = clientjws.number(claims, "exp"), clientjws.number(claims, "nbf")
        if strict and (exp is None or nbf is None):
            raise Malformed("exp and nbf are required of this client (FAPI 2.0 Message Signing)")
        if exp is not None:
            ends = datetime.fromtimestamp(exp, UTC)
            if now >= ends + _SKEW or (strict and ends > now + _LONGEST + _SKEW):
                raise Refused("it has expired, or is good for longer than an hour")
        if nbf is not None:
            begins = datetime.fromtimestamp(nbf, UTC)
            if begins > now + _SKEW or (strict and begins < now - _LONGEST):
                raise Refused("its nbf is in the future, or longer ago than an hour")


def allowed(client: Client) -> tuple[str, ...]:
    """Return the algorithms that a client may sign with."""
    pinned = client.metadata.request_object_signing_alg
    offered = clientjws.offered(client)
    return offered if pinned is None else tuple(name for name in offered if name == pinned)


def _text(name: str, value: Any) -> str:
    """RFC 9101, 4: numbers and objects are written as in JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | dict):
        raise Malformed(f"its {name[:40]} is neither text nor number nor object")
    return json.dumps(value, separators=(",", ":"))
