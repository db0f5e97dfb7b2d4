"""A token request whose client is known, and what every grant type asks of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from authn.oidc.clientmetadata import GrantType
from authn.oidc.errors import InvalidRequest, OAuthError
from authn.oidc.grant import Confirmation, Grant
from authn.oidc.store import Client, ClientStore
from core.steps import Steps

TokenResponse = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What the grants work on."""

    client: Client
    parameters: Mapping[str, str]
    resources: tuple[str, ...]
    audiences: tuple[str, ...]
    confirmation: Confirmation | None
    """The key that the tokens will be bound to; None: bearer tokens."""
    now: datetime

    def required(self, name: str) -> str:
        """Return a parameter. Raises `InvalidRequest` without it."""
        value = self.parameters.get(name)
        if value is None:
            raise InvalidRequest(f"{name} is missing")
        return value


class TokenGrant(Protocol):
    """One grant type: turns what a client shows into tokens."""

    type: GrantType

    def exchange(self, request: TokenRequest) -> Steps[TokenResponse]:
        """Return the token response (RFC 6749, 5.1), in steps. Raises `OAuthError`."""
        ...


def narrow(grant: Grant, request: TokenRequest) -> Grant:
    """Return the grant with the scope that this token asks for: never more than was granted.

    Raises `OAuthError` invalid_scope (RFC 6749, 6).
    """
    asked = request.parameters.get("scope")
    if asked is None:
        return grant
    names = set(asked.split())
    if not names or not names <= grant.scopes:
        raise OAuthError("invalid_scope", "the scope is more than was granted")
    return replace(grant, scope=" ".join(sorted(names)))


def target(clients: ClientStore, granted: tuple[str, ...], asked: tuple[str, ...]) -> Client | None:
    """Return the resource server that a token is for; None: this provider.

    Raises `OAuthError` invalid_target (RFC 8707, 2.2). A token has one audience: what one resource
    server is shown must be of no use at another.
    """
    if len(asked) > 1:
        raise OAuthError("invalid_target", "ask for one resource at a time")
    if asked and asked[0] not in granted:
        raise OAuthError("invalid_target", "the resource was not granted")
    name = next(iter(asked or granted), None)
    if name is None:
        return None
    resource = clients.find_resource(name)
    if resource is None:
        raise OAuthError("invalid_target", "the resource is not registered here")
    return resource
