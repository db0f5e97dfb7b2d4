"""What the provider remembers, as protocols. `sqlstore` and `sqlclients` implement them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from authn.oidc.clientmetadata import ClientMetadata
from authn.oidc.grant import Confirmation, Grant
from authn.store import User
from core.steps import Statements, Steps


class AuthMethod(StrEnum):
    """How a client authenticates (OIDC Core, 9; RFC 8705, 2); pinned per client."""

    BASIC = "client_secret_basic"
    POST = "client_secret_post"
    PRIVATE_KEY_JWT = "private_key_jwt"
    TLS = "tls_client_auth"
    SELF_SIGNED_TLS = "self_signed_tls_client_auth"
    NONE = "none"

    @property
    def has_secret(self) -> bool:
        """Whether it rests on a secret that both sides know."""
        return self in (AuthMethod.BASIC, AuthMethod.POST)


class IDTokenAlgorithm(StrEnum):
    """How ID tokens are signed (RFC 7518, 3.1)."""

    ES256 = "ES256"
    RS256 = "RS256"
    SM2 = "SGD_SM3_SM2"
    """GM/T 0125.1; a client with it belongs to the issuer ``/gm`` (docs/gm-tokens.md)."""


@dataclass(frozen=True, slots=True)
class Client:
    """A relying party."""

    id: str
    name: str
    secret_digest: bytes | None
    """None for a client without a secret: a public one, or one with a key."""
    auth_method: AuthMethod
    redirect_uris: tuple[str, ...]
    post_logout_redirect_uris: tuple[str, ...]
    scopes: frozenset[str]
    id_token_algorithm: IDTokenAlgorithm
    created_at: datetime
    metadata: ClientMetadata = field(default_factory=ClientMetadata)
    older_secret_digest: bytes | None = None
    """The secret before the last rotation, good until `older_secret_until`."""
    older_secret_until: datetime | None = None

    @property
    def public(self) -> bool:
        """Whether it proves itself by PKCE and its redirect URI alone."""
        return self.auth_method is AuthMethod.NONE


@dataclass(frozen=True, slots=True)
class AuthorizationCode:
    """A code, and everything it is bound to."""

    digest: bytes
    grant: Grant
    redirect_uri: str
    nonce: str | None
    code_challenge: str
    expires_at: datetime
    confirmation: Confirmation | None = None
    """The DPoP key that the request announced (RFC 9449, 10)."""
    used_at: datetime | None = None
    subject: str | None = None
    """The `sub` at the client, if that hears of logouts and the code was given by this release."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token. A JWT has a row too, so that it ends with its session when we are asked."""

    digest: bytes
    grant: Grant
    """With the scope and the resources of this token, which may be fewer."""
    expires_at: datetime
    confirmation: Confirmation | None = None

    @property
    def type(self) -> str:
        """How it is shown: `token_type` (RFC 6749, 7.1)."""
        bound = self.confirmation
        return "DPoP" if bound is not None and bound.member == "jkt" else "Bearer"


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A family of refresh tokens: one row, whose newest secret counts (`authn.oidc.refresh`)."""

    digest: bytes
    """Of the part that all secrets of the family share."""
    grant: Grant
    current: bytes
    """Digest of the newest secret."""
    previous: bytes | None
    """Digest of the one before."""
    step: bytes
    """What led from the previous secret to the current one."""
    rotated_at: datetime
    expires_at: datetime
    confirmation: Confirmation | None = None


class ClientStore(Protocol):
    """Registered clients."""

    def add(self, client: Client) -> None:
        """Raises `Conflict` when the id or the resource is taken."""
        ...

    def find(self, client_id: str) -> Client | None: ...

    def recall(self, client_id: str) -> Client | None:
        """Return what `find` would, if that is at hand: never waits."""
        ...

    def hold(self, client_id: str) -> Client | None:
        """Find a client that nobody else changes before the open transaction ends."""
        ...

    def find_entry(self, address: str) -> Client | None:
        """Return the client entered at this address by an older protocol (`authn.legacy`)."""
        ...

    def find_resource(self, resource: str) -> Client | None:
        """Return the resource server of that name (RFC 8707)."""
        ...

    def list_clients(self) -> Sequence[Client]: ...

    def replace(self, client: Client) -> bool:
        """True if there was one with this id. Raises `Conflict`."""
        ...

    def remove(self, client_id: str) -> bool: ...


class CodeStore(Protocol):
    """Authorization codes."""

    def add_code(self, code: AuthorizationCode) -> bool:
        """False, and nothing is stored: the session that gave it has ended meanwhile."""
        ...

    def adding_code(self, code: AuthorizationCode) -> Steps[bool]:
        """Add it, in steps."""
        ...

    def find_code(self, digest: bytes) -> AuthorizationCode | None: ...

    def finding_code(self, digest: bytes) -> Steps[tuple[AuthorizationCode, User | None] | None]:
        """Find it, in steps. Returns also who logged in, if there still is such a user."""
        ...

    def to_claim_code(
        self,
        digest: bytes,
        client_id: str,
        logout_uris: tuple[str | None, str | None] = (None, None),
    ) -> Statements:
        """Return what finds and locks a code of a client, with its person.

        If the code was not used, the client then takes part in its session, provided that it hears
        of logouts and the code has a subject. Last, the audit log is locked
        (`core.audit.AuditLog.following`).
        """
        ...

    def claimed(self, ran: Any) -> tuple[AuthorizationCode, User | None] | None:
        """Read what the first of `to_claim_code` gave."""
        ...

    def to_use_code(self, digest: bytes, now: datetime) -> Statements:
        """Return what uses it up. Compare and set: changes a row for exactly one caller."""
        ...


class AccessTokenStore(Protocol):
    """Access tokens."""

    def add_token(self, token: AccessToken) -> None: ...

    def adding_token(self, token: AccessToken) -> Steps[None]:
        """Add it, in steps."""
        ...

    def to_add_token(self, token: AccessToken) -> Statements: ...

    def find_token(self, digest: bytes) -> AccessToken | None: ...

    def remove_token(self, digest: bytes) -> bool: ...


class RefreshTokenStore(Protocol):
    """Families of refresh tokens."""

    def to_add_refresh_token(self, token: RefreshToken) -> Statements: ...

    def find_refresh_token(self, digest: bytes) -> RefreshToken | None: ...

    def finding_refresh_token(
        self, digest: bytes
    ) -> Steps[tuple[RefreshToken, User | None] | None]:
        """Find it, in steps. Returns also whose grant it is, if there still is such a user."""
        ...

    def rotating(
        self,
        token: RefreshToken,
        gives: AccessToken,
        *,
        current: bytes,
        step: bytes,
        now: datetime,
    ) -> Steps[bool]:
        """Compare and set, and add the access token that it gives; in steps.

        False, and neither, if another call rotated the family since `token` was read.
        """
        ...

    def adding_beside(self, token: RefreshToken, gives: AccessToken) -> Steps[bool]:
        """Add an access token of a family that is not rotated; in steps.

        False, and nothing is stored, if the family ended since `token` was read.
        """
        ...


class Endings(Protocol):
    """Taking away what was granted: access tokens, refresh tokens, unused codes."""

    def remove_grant(self, grant_id: str) -> int:
        """Returns how many tokens there were."""
        ...

    def remove_sessions(self, sids: Sequence[str]) -> None: ...

    def hold_session(self, sid: str) -> bool:
        """Whether a session is open; it does not end before the open transaction does."""
        ...

    def remove_client(self, client_id: str) -> None: ...

    def remove_user(self, user_id: str) -> None:
        """Also what outlives sessions."""
        ...


class GrantStore(CodeStore, AccessTokenStore, RefreshTokenStore, Endings, Protocol):
    """All of it; the codes and tokens of one grant share its id."""
