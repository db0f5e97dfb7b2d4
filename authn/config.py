"""What authentication needs to be told."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from authn.logout.config import LogoutConfig
from authn.upstream.config import LDAPSourceConfig, OpenIDSourceConfig
from core.outbound import OutboundConfig
from core.peer import check_fingerprints, check_peer_url


class PasswordConfig(BaseModel):
    """How passwords are hashed (RFC 9106, 4, the second option), and which ones are taken."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    memory_kibibytes: int = Field(default=65536, ge=19456, le=1048576)
    """Memory of one Argon2id hash."""
    iterations: int = Field(default=3, ge=2, le=20)
    """Passes of one Argon2id hash."""
    concurrent_hashes: int | None = Field(default=None, ge=1, le=64)
    """So many at once; each takes `memory_kibibytes` and one processor, and the others wait. As
    many as there are processors, if it is not set. Each of `server.processes` has its share."""
    min_characters: int = Field(default=12, ge=8, le=64)
    """The shortest password that may be chosen."""
    history: int = Field(default=5, ge=0, le=24)
    """So many earlier passwords of a person may not be chosen again."""
    max_age_days: int | None = Field(default=None, ge=1, le=3650)
    """After so many days a password has to be changed at the next login. NIST SP 800-63B advises
    against it; some rules of classified protection (等级保护) ask for it."""
    breached_file: Path | None = None
    """Passwords that may not be chosen: sorted SHA-1 in hex, one a line (`yinxin user
    breached-file`, or what Have I Been Pwned publishes)."""


class LoginConfig(BaseModel):
    """When login attempts are refused, and how long a login lasts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    failures_before_lock: int = Field(default=5, ge=3, le=100)
    """So many wrong passwords in a row lock a user's password login."""
    lock_minutes: int = Field(default=15, ge=1, le=1440)
    """How long it stays locked."""
    failures_per_address_per_minute: int = Field(default=20, ge=1, le=10000)
    """So many failures from one address in a minute, and it has to wait."""
    session_idle_minutes: int = Field(default=30, ge=1, le=1440)
    """A browser session ends when it is not used for so long."""
    session_hours: int = Field(default=12, ge=1, le=168)
    """A browser session ends after so long, used or not."""
    challenge_minutes: int = Field(default=5, ge=1, le=30)
    """How long a certificate login has to answer its challenge."""
    setup_link_hours: int = Field(default=72, ge=1, le=720)
    """How long a one-time set-up link works."""
    administrators_least: Literal["password", "two-factors", "certificate", "hardware-key"] = (
        "password"
    )
    """How strongly whoever has a role has to log in at least (docs/login.md). Their one-time link
    enrols a second factor where one is wanted; certificates are bound by another administrator."""


class OIDCConfig(BaseModel):
    """The OpenID provider."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code_seconds: int = Field(default=60, ge=10, le=600)
    """RFC 6749, 4.1.2 recommends at most 600; a redirect needs few."""
    access_token_minutes: int = Field(default=10, ge=1, le=60)
    """How long an access token works."""
    signing_key: str = "software:object={name}"
    """Where keys that sign tokens are made; ``pkcs11:token=…;object={name}`` for a token."""
    key_announce_minutes: int = Field(default=1440, ge=10, le=43200)
    """How long a new key is published before it signs. Clients keep our keys for 5 minutes."""
    id_token_minutes: int = Field(default=10, ge=1, le=60)
    """From iat to exp of an ID token."""
    refresh_token_days: int = Field(default=30, ge=1, le=366)
    """After so long a grant has to be given anew, however often it was refreshed."""
    pushed_request_seconds: int = Field(default=90, ge=5, le=599)
    """How long a pushed authorization request waits for its browser (FAPI 2.0: below 600)."""
    dpop_nonce_required: bool = False
    """Whether DPoP proofs need a nonce of ours: one more round trip, and no proof made ahead."""
    refresh_grace_seconds: int = Field(default=30, ge=0, le=300)
    """So long after a refresh the token before still gets the same successor: answers are lost."""


class GMConfig(BaseModel):
    """The second issuer, ``/gm``, for clients that need Chinese algorithms (GM/T 0125)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = False
    """Whether it is there at all. The other issuer does not change with it."""
    signature: Literal["raw", "der"] = "raw"
    """How an SM2 signature is written in a JWS: r and s (64 octets), or SEQUENCE."""
    ciphertext: Literal["der", "raw"] = "der"
    """How an SM2 ciphertext is written in a JWE: SM2Cipher of GM/T 0009, or 04, C1, C3, C2."""


class AuthnConfig(BaseModel):
    """All of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: str
    """The issuer identifier, and the origin that browsers see: ``https://host[:port]``."""
    password: PasswordConfig = PasswordConfig()
    login: LoginConfig = LoginConfig()
    oidc: OIDCConfig = OIDCConfig()
    gm: GMConfig = GMConfig()
    logout: LogoutConfig = LogoutConfig()
    outbound: OutboundConfig = OutboundConfig()
    openid_sources: tuple[OpenIDSourceConfig, ...] = ()
    """OpenID providers whose people may log in here (docs/login.md)."""
    ldap_sources: tuple[LDAPSourceConfig, ...] = ()
    """LDAP directories whose people may log in here (docs/login.md)."""
    tls_login_url: str | None = None
    """Where TLS asks people for their certificate (docs/login.md): ``https://host[:port]``; by
    default the mutual-TLS port. A proxy in front may give it a host name of its own."""
    tls_proxy_keys: tuple[str, ...] = ()
    """Proxies whose word on a client certificate counts: SHA-256 of their public keys, in hex. They
    show their own certificate on the mutual-TLS port."""
    secrets_key: str = "software:object=authn-secrets"
    """The SM2 key that opens the key of sealed secrets (one-time passwords, identity numbers). Made
    with the first of them; lost, everybody enrols again."""

    @property
    def gm_issuer(self) -> str:
        """The issuer identifier of tokens with Chinese algorithms."""
        return f"{self.issuer}/gm"

    @model_validator(mode="after")
    def _keys_have_names_of_their_own(self) -> Self:
        if self.oidc.signing_key.count("{name}") != 1:
            raise ValueError("authn.oidc.signing_key must contain {name} exactly once")
        return self

    @field_validator("tls_login_url")
    @classmethod
    def _is_an_origin(cls, value: str | None) -> str | None:
        return None if value is None else check_peer_url(value)

    @field_validator("tls_proxy_keys")
    @classmethod
    def _are_fingerprints(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return check_fingerprints(value)

    @model_validator(mode="after")
    def _issuer_is_an_https_origin(self) -> Self:
        parts = urlsplit(self.issuer)
        if parts.scheme != "https" or not parts.hostname or parts.username is not None:
            raise ValueError(f"authn.issuer must be https://host[:port], not {self.issuer!r}")
        if self.issuer != f"https://{parts.netloc}":
            # A path would move /.well-known and the cookies; one service, one origin.
            raise ValueError(f"authn.issuer must have no path, not even '/': {self.issuer!r}")
        return self
