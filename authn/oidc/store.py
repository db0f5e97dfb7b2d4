"""What the provider remembers, as protocols. `authn.oidc.sqlstore` implements them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class AuthMethod(StrEnum):
    """How a client authenticates at the token endpoint (OIDC Core, 9); pinned per client."""

    BASIC = "client_secret_basic"
    POST = "client_secret_post"
    NONE = "none"


class IDTokenAlgorithm(StrEnum):
    """How ID tokens are signed (RFC 7518, 3.1)."""

    ES256 = "ES256"
    RS256 = "RS256"


@dataclass(frozen=True, slots=True)
class Client:
    """A relying party."""

    id: str
    name: str
    secret_digest: bytes | None
    """None for a public client, which proves itself by PKCE and its redirect URI alone."""
    auth_method: AuthMethod
    redirect_uris: tuple[str, ...]
    post_logout_redirect_uris: tuple[str, ...]
    scopes: frozenset[str]
    id_token_algorithm: IDTokenAlgorithm
    created_at: datetime
    backchannel_logout_uri: str | None = None
    """Where the end of a session is posted to (Back-Channel Logout 1.0, 2.2)."""
    frontchannel_logout_uri: str | None = None
    """What a browser that logs out loads in a frame (Front-Channel Logout 1.0, 2)."""


@dataclass(frozen=True, slots=True)
class AuthorizationCode:
    """A code, and everything it is bound to."""

    digest: bytes
    grant_id: str
    client_id: str
    user_id: str
    sid: str
    redirect_uri: str
    scope: str
    nonce: str | None
    code_challenge: str
    auth_time: datetime
    amr: str
    acr: str
    expires_at: datetime
    used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token; opaque to everyone but us."""

    digest: bytes
    grant_id: str
    client_id: str
    user_id: str
    sid: str
    scope: str
    expires_at: datetime


class ClientStore(Protocol):
    """Registered clients."""

    def add(self, client: Client) -> None:
        """Raises `Conflict` when the id is taken."""
        ...

    def find(self, client_id: str) -> Client | None: ...

    def list_clients(self) -> Sequence[Client]: ...

    def remove(self, client_id: str) -> bool: ...


class GrantStore(Protocol):
    """Codes and access tokens; all of one login at one client share a grant id."""

    def add_code(self, code: AuthorizationCode) -> None: ...

    def find_code(self, digest: bytes) -> AuthorizationCode | None: ...

    def use_code(self, digest: bytes, now: datetime) -> bool:
        """Compare and set: True for exactly one caller."""
        ...

    def add_token(self, token: AccessToken) -> None: ...

    def find_token(self, digest: bytes) -> AccessToken | None: ...

    def remove_tokens_of_grant(self, grant_id: str) -> int:
        """Returns how many there were."""
        ...

    def remove_sessions(self, sids: Sequence[str]) -> None:
        """Remove tokens and unused codes that these sessions gave."""
        ...

    def remove_client(self, client_id: str) -> None:
        """Remove tokens and unused codes of a client."""
        ...
