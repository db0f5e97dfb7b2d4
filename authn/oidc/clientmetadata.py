"""What an application says about itself, in the names of the registry (RFC 7591, 2).

One model for what registration takes, what a row keeps (as JSON) and what the endpoints ask. A
field with a default needs no migration.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from authn.legacy.services import entry_below

MOST_KEYS: Final = 10

URI = Annotated[str, Field(min_length=1, max_length=2000)]


class GrantType(StrEnum):
    """What a client may send to the token endpoint (RFC 6749, 4; 8628; 8693)."""

    AUTHORIZATION_CODE = "authorization_code"
    REFRESH_TOKEN = "refresh_token"  # noqa: S105 - a word of the standard
    CLIENT_CREDENTIALS = "client_credentials"
    DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
    TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - the same


class SubjectType(StrEnum):
    """Whether two clients learn the same `sub` of a person (OIDC Core, 8)."""

    PAIRWISE = "pairwise"
    PUBLIC = "public"


class AccessTokenFormat(StrEnum):
    """What a resource server reads: a reference to ask us about, or a JWT (RFC 9068)."""

    OPAQUE = "opaque"
    JWT = "jwt"


class SecurityProfile(StrEnum):
    """A set of rules that a client is held to, all or none."""

    FAPI2 = "fapi2"
    """FAPI 2.0 Security Profile: PAR, sender-constrained tokens, keys instead of secrets."""


class ClientMetadata(BaseModel):
    """Everything about a client but its id, its secrets, its redirect URIs and its scopes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    grant_types: tuple[GrantType, ...] = Field(
        default=(GrantType.AUTHORIZATION_CODE,), max_length=len(GrantType)
    )
    security_profile: SecurityProfile | None = None
    subject_type: SubjectType = SubjectType.PAIRWISE
    sector_identifier: str | None = Field(default=None, min_length=1, max_length=255)
    """Clients with the same one learn the same pairwise `sub`; by default each is its own."""

    # Keys and certificates of the client itself.
    jwks: dict[str, Any] | None = None
    jwks_uri: URI | None = None
    token_endpoint_auth_signing_alg: str | None = Field(default=None, max_length=16)
    tls_client_auth_subject_dn: str | None = Field(default=None, max_length=1000)
    tls_client_auth_san_dns: str | None = Field(default=None, max_length=255)
    tls_client_auth_san_uri: URI | None = None
    tls_client_auth_san_ip: str | None = Field(default=None, max_length=45)
    tls_client_auth_san_email: str | None = Field(default=None, max_length=254)

    # How its requests come.
    require_pushed_authorization_requests: bool = False
    require_signed_request_object: bool = False
    request_object_signing_alg: str | None = Field(default=None, max_length=16)
    default_max_age: int | None = Field(default=None, ge=0, le=10**9)
    default_acr_values: tuple[str, ...] = Field(default=(), max_length=10)

    # How its tokens are bound.
    dpop_bound_access_tokens: bool = False
    tls_client_certificate_bound_access_tokens: bool = False

    # Encrypted ID tokens, at the issuer for Chinese algorithms (docs/gm-tokens.md).
    id_token_encrypted_response_alg: Literal["SGD_SM2_3"] | None = None
    id_token_encrypted_response_enc: Literal["SGD_SM4_GCM"] | None = None

    # How it hears that a session ended (docs/logout.md). `sid` is always there, wanted or not.
    backchannel_logout_uri: URI | None = None
    backchannel_logout_session_required: bool = False
    frontchannel_logout_uri: URI | None = None
    frontchannel_logout_session_required: bool = False

    # Addresses at which it is entered by older protocols (docs/connect/cas.md, nginx.md).
    cas_services: tuple[URI, ...] = Field(default=(), max_length=20)
    """Services of CAS, compared character for character."""
    cas_prefixes: tuple[URI, ...] = Field(default=(), max_length=20)
    """Services of CAS are whatever lies below these: ``https://host/path/``."""
    gate_origins: tuple[URI, ...] = Field(default=(), max_length=20)
    """Origins of applications behind a proxy that asks us: ``https://host[:port]``."""

    # A resource server: what it is called in `resource` (RFC 8707), and what it wants to read.
    resource: URI | None = None
    resource_scopes: tuple[str, ...] = Field(default=(), max_length=50)
    access_token_format: AccessTokenFormat = AccessTokenFormat.OPAQUE

    # For people.
    client_uri: URI | None = None
    logo_uri: URI | None = None
    policy_uri: URI | None = None
    tos_uri: URI | None = None
    contacts: tuple[str, ...] = Field(default=(), max_length=10)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.jwks is not None and self.jwks_uri is not None:
            raise ValueError("jwks and jwks_uri exclude each other (RFC 7591, 2)")
        if (self.id_token_encrypted_response_alg is None) != (
            self.id_token_encrypted_response_enc is None
        ):
            raise ValueError("give id_token_encrypted_response_alg and _enc, or neither")
        if self.resource_scopes and self.resource is None:
            raise ValueError("resource_scopes need a resource")
        if len(self.certificate_names) > 1:
            raise ValueError("give one of the tls_client_auth_… names (RFC 8705, 2.1.2)")
        return self

    @property
    def entries(self) -> tuple[str, ...]:
        """Every address at which it is entered by an older protocol."""
        return (*self.cas_services, *map(entry_below, self.cas_prefixes), *self.gate_origins)

    @property
    def certificate_names(self) -> dict[str, str]:
        """Which name its TLS certificate must have (RFC 8705, 2.1.2)."""
        names = {
            "subject_dn": self.tls_client_auth_subject_dn,
            "san_dns": self.tls_client_auth_san_dns,
            "san_uri": self.tls_client_auth_san_uri,
            "san_ip": self.tls_client_auth_san_ip,
            "san_email": self.tls_client_auth_san_email,
        }
        return {kind: name for kind, name in names.items() if name is not None}

    @property
    def logout_uris(self) -> tuple[str | None, str | None]:
        """Where the client hears of the end of a session: back channel, front channel."""
        return self.backchannel_logout_uri, self.frontchannel_logout_uri

    @property
    def hears_of_logout(self) -> bool:
        """Whether it has one of them."""
        return any(self.logout_uris)

    @property
    def is_fapi2(self) -> bool:
        """Whether the rules of the FAPI 2.0 Security Profile apply."""
        return self.security_profile is SecurityProfile.FAPI2
