"""What the roof itself needs to know."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from core.peer import check_fingerprints, check_peer_url

Port = Annotated[int, Field(ge=1, le=65535)]
_ISSUER_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,62}")


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
    processes: int = Field(default=1, ge=1, le=64)
    """How many processes of the authority answer https and mutual TLS, on the same ports: one for
    each processor that PostgreSQL leaves. More than one need PostgreSQL (docs/deployment.md)."""
    max_request_octets: int = Field(default=262_144, ge=16_384, le=16_777_216)
    """The longest request body that is read, in octets."""
    strict_transport_seconds: int = Field(default=0, ge=0, le=63_072_000)
    """So long browsers come to this name by https only, at every port of it (RFC 6797); a year is
    31536000. For a name of its own: not where people open CRLs by plain http under the same one."""

    @property
    def https_headers(self) -> tuple[tuple[str, str], ...]:
        """What every answer over https carries, whoever asks."""
        seconds = self.strict_transport_seconds
        return (("Strict-Transport-Security", f"max-age={seconds}"),) if seconds else ()


class DatabaseConfig(BaseModel):
    """Where rows live."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str | None = None
    """``sqlite:///path`` or ``postgresql+psycopg://…``; default: yinxin.sqlite3 in the state
    directory. A password in it is never shown."""
    owner_url: str | None = None
    """PostgreSQL: the url of the role that owns the tables, when ``url`` is one that may only use
    them. Migrations and grants run as the owner (``yinxin database``, docs/audit.md)."""


class AuditFileConfig(BaseModel):
    """The audit chain in files, best on another file system (docs/audit.md)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    directory: Path | None = None
    """Where the files go; none: no files. It is made when it is missing."""
    rotate_octets: int = Field(default=67_108_864, ge=65_536)
    """After this many octets the next file begins."""


class AuditSyslogConfig(BaseModel):
    """The audit chain to a syslog collector (RFC 5424, RFC 5425)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str | None = Field(default=None, pattern=r"^[A-Za-z0-9.:-]{1,253}$")
    """The collector; none: nothing is sent. Its certificate must be for this name."""
    port: int = Field(default=6514, ge=1, le=65535)
    """6514 is the port of syslog over TLS."""
    trust: Path | None = None
    """PEM of the roots that the collector's certificate is checked with; none: the system's."""
    certificate: Path | None = None
    """PEM of a certificate and its key, for a collector that asks who we are."""
    protocol: Literal["tls", "tcp"] = "tls"
    """Everybody on the way can read, change and drop what plain tcp carries."""
    allow_plain_tcp: bool = False
    """Has to be true for protocol tcp."""

    @model_validator(mode="after")
    def _encrypted(self) -> Self:
        if self.protocol == "tcp" and not self.allow_plain_tcp:
            raise ValueError("protocol tcp is not encrypted: use tls, or set allow_plain_tcp")
        return self


class AuditConfig(BaseModel):
    """How often the audit chain is signed, and where it goes off the box."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    checkpoint_rows: int = Field(default=1_000, ge=1, le=1_000_000)
    """The head of the chain is signed when it has moved by this many rows."""
    checkpoint_seconds: int = Field(default=60, ge=1, le=86_400)
    """It is also signed this often, when it has moved at all."""
    file: AuditFileConfig = AuditFileConfig()
    syslog: AuditSyslogConfig = AuditSyslogConfig()


class HealthConfig(BaseModel):
    """When `yinxin health-check` begins to warn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ca_warning_days: int = Field(default=180, ge=1, le=3_660)
    """A CA certificate that ends sooner than this, without a next generation, is a warning."""
    ca_critical_days: int = Field(default=30, ge=1, le=3_660)
    """The same, critical."""
    backup_days: int = Field(default=365, ge=1, le=3_660)
    """The software keys are backed up in shares at least this often."""
    disk_warning_percent: int = Field(default=10, ge=1, le=90)
    """Less free space than this in the state directory's file system is a warning."""


class RegistrationConfig(BaseModel):
    """Registration authorities that run apart (`yinxin serve --role ra`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    authority_url: str | None = None
    """In the registration authority's own settings: the mutual-TLS port of the authority,
    ``https://host:port``, to which it brings its acts. None: the authority fetches them."""
    authority_keys: tuple[str, ...] = ()
    """In the registration authority's own settings: which keys the authority may show. What
    `yinxin host key` prints there, one for each of its nodes."""
    review_changes: bool = False
    """At a registration authority: revocation, freezing and unfreezing wait for a reviewer, too.
    Needed where a review rule of the authority asks for a second person."""
    issuers: tuple[str, ...] = ("sm2-issuing", "rsa-issuing")
    """At a registration authority: the authority's issuers that its pages offer, the usual one
    first."""
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

    @field_validator("issuers")
    @classmethod
    def _are_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or any(_ISSUER_NAME.fullmatch(one) is None for one in value):
            raise ValueError("one or more names: lowercase letters, digits and hyphens")
        return value


class OCSPNodeConfig(BaseModel):
    """OCSP nodes that run apart (`yinxin serve --role ocsp`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    node_keys: tuple[str, ...] = ()
    """In the authority's settings: which nodes it certifies responders for. What `yinxin host key`
    prints at each of them."""
    authority_url: str | None = None
    """In a node's settings: the mutual-TLS port of the authority, ``https://host:port``."""
    authority_keys: tuple[str, ...] = ()
    """In a node's settings: which keys the authority may show. What `yinxin host key` prints
    there."""
    timeout_seconds: float = Field(default=10, ge=0.1, le=60)
    """How long a node waits for the authority."""

    @field_validator("authority_url")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        return None if value is None else check_peer_url(value)

    @field_validator("node_keys", "authority_keys")
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
