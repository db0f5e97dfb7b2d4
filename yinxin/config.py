"""What the roof itself needs to know."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from core.peer import check_fingerprints, check_peer_url

Port = Annotated[int, Field(ge=1, le=65535)]


class ServerConfig(BaseModel):
    """Where the service listens, and under which name others reach it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    public_host: str = Field(default="localhost", pattern=r"^[A-Za-z0-9.-]{1,253}$")
    """The name in every URL and in the TLS certificate; also the relying party's issuer."""
    listen_address: str = "127.0.0.1"
    """The address to bind; 0.0.0.0 and :: mean every interface."""
    https_port: Port = 8443
    """Control plane, OpenID provider, pages."""
    mutual_tls_port: Port = 8444
    """The same API for callers with a client certificate."""
    http_port: Port = 8080
    """OCSP, CRLs and CA certificates: plain http, as the standards expect (RFC 5280, 8)."""
    max_request_octets: int = Field(default=262_144, ge=16_384, le=16_777_216)
    """The longest request body that is read, in octets."""


class DatabaseConfig(BaseModel):
    """Where rows live."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str | None = None
    """``sqlite:///path`` or ``postgresql+psycopg://…``; default: yinxin.sqlite3 in the state
    directory. A password in it is never shown."""


class AuditConfig(BaseModel):
    """How often the audit chain is signed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    checkpoint_seconds: int = Field(default=60, ge=1, le=86_400)
    """The head of the chain is signed this often, when it has moved."""


class RegistrationConfig(BaseModel):
    """Registration authorities that run apart (`yinxin serve --role ra`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    authority_url: str | None = None
    """In the registration authority's own settings: the mutual-TLS port of the authority,
    ``https://host:port``, to which it brings its acts. None: the authority fetches them."""
    authority_keys: tuple[str, ...] = ()
    """In the registration authority's own settings: which keys the authority may show. What
    `yinxin host key` prints there, one for each of its nodes."""
    exchange_seconds: int = Field(default=5, ge=1, le=3_600)
    """How often acts are brought or fetched."""
    timeout_seconds: float = Field(default=10, ge=0.1, le=60)
    """How long one end waits for the other."""

    @field_validator("authority_url")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        return None if value is None else check_peer_url(value)

    @field_validator("authority_keys")
    @classmethod
    def _are_fingerprints(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return check_fingerprints(value)


class FirstStartConfig(BaseModel):
    """What the first start makes. Changing it later changes nothing that exists."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    country: str = Field(default="CN", pattern=r"^[A-Z]{2}$")
    """The C of the CA certificates."""
    organization: str = Field(default="Yinxin", min_length=1, max_length=48)
    """The O of the CA certificates, and the beginning of their CN (64 characters at most)."""
    sm2_key: str = "software:object={name}"
    """Where the keys of the SM2 hierarchy are made: a key reference with ``{name}`` in it."""
    rsa_key: str = "software:object={name}"
    """Where the keys of the RSA hierarchy are made, such as
    ``pkcs11:token=issuing;object={name}``."""


class LogConfig(BaseModel):
    """What is written to standard error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Lines below this level are not written."""
