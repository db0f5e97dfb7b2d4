"""What publishing to an LDAP directory needs to know."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ca.names import ATTRIBUTE_TYPES

FIELDS: Final = frozenset({*ATTRIBUTE_TYPES, "serial", "issuer", "profile"})
"""What a template of a distinguished name can hold in braces."""
_FIELD: Final = re.compile(r"\{([^{}]*)\}")
_FIRST: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]*=\{[A-Za-z]+\},.+")
_URL: Final = re.compile(r"ldaps?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::\d{1,5})?")


class PublicationConfig(BaseModel):
    """An LDAP directory (RFC 4523) that gets certificates and CRLs. It needs the extra `ldap`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str | None = None
    """`ldaps://host` or `ldap://host`; without one nothing is published."""
    start_tls: bool = True
    """TLS before anything else on an `ldap://` connection."""
    allow_clear: bool = False
    """Take `ldap://` without TLS: the password crosses the net in clear."""
    trust_file: Path | None = None
    """PEM of the roots that may have issued the server's certificate; default: the system's."""
    bind_dn: str | None = None
    """As whom to write."""
    password_file: Path | None = None
    """File with the password, for nobody else to read."""
    certificate_dn: str = "cn={CN},dc=example"
    """Where a certificate goes: name attributes of its subject, or serial, issuer, profile."""
    entry_classes: tuple[str, ...] = ("device", "pkiUser")
    """Object classes of an entry that does not exist yet; `inetOrgPerson` for people."""
    profiles: tuple[str, ...] = ()
    """Profiles whose certificates are published; default: all that can be asked for."""
    issuer_dn: str = "cn={issuer},dc=example"
    """Where a CA's certificate and CRL go."""
    remove_expired: bool = False
    """Take out a certificate when it has expired, as when it is revoked."""
    every_seconds: int = Field(default=10, ge=1, le=86_400)
    """How often it is looked for what has changed."""

    @field_validator("url")
    @classmethod
    def _is_url(cls, value: str | None) -> str | None:
        if value is not None and _URL.fullmatch(value) is None:
            raise ValueError("url must be like ldaps://directory.example.gov.cn:636")
        return value

    @field_validator("certificate_dn", "issuer_dn")
    @classmethod
    def _is_template(cls, value: str) -> str:
        if _FIRST.fullmatch(value) is None:
            raise ValueError(f"{value!r} must begin like cn={{CN}}, and go on with the base")
        unknown = set(_FIELD.findall(value)) - FIELDS
        if unknown:
            raise ValueError(f"unknown field {min(unknown)!r}: one of {sorted(FIELDS)}")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.url is None:
            return self
        if (self.bind_dn is None) != (self.password_file is None):
            raise ValueError("bind_dn and password_file go together")
        if self.url.startswith("ldap://") and not self.start_tls and not self.allow_clear:
            raise ValueError("ldap:// without start_tls needs allow_clear = true")
        return self
