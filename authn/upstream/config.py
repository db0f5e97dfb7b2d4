"""Identity sources outside of this service."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from core.outbound import check_outbound_url

_URL: Final = re.compile(r"ldaps?://[A-Za-z0-9.-]+(:[0-9]{1,5})?")
NAME: Final = r"^[a-z][a-z0-9-]{0,30}$"


class OpenIDSourceConfig(BaseModel):
    """An OpenID provider whose people may log in here."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=NAME)
    """In addresses and rows; never change it."""
    title: str = Field(min_length=1, max_length=60)
    """What the sign-in page calls it."""
    issuer: str
    """Its issuer identifier. Its network has to be in `authn.outbound.allowed_networks`."""
    client_id: str = Field(min_length=1, max_length=200)
    """As whom it knows us; our redirect URI is `<authn.issuer>/login/upstream/<name>/callback`."""
    client_secret_file: Path
    """File with the secret, for nobody else to read."""
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    """What it is asked for."""
    provision: bool = False
    """Make a user for whoever comes first; otherwise people link their own account."""

    @field_validator("issuer")
    @classmethod
    def _is_https(cls, value: str) -> str:
        return check_outbound_url(value, what="issuer")


class LDAPSourceConfig(BaseModel):
    """An LDAP directory whose people may log in with its password. It needs the extra `ldap`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=NAME)
    """In addresses and rows; never change it."""
    title: str = Field(min_length=1, max_length=60)
    """What the sign-in page calls it."""
    url: str
    """`ldaps://host`, or `ldap://host` with TLS before anything else."""
    trust_file: Path | None = None
    """PEM of the roots that may have issued its certificate; default: the system's."""
    bind_dn: str
    """As whom to search."""
    password_file: Path
    """File with the password of `bind_dn`, for nobody else to read."""
    base: str
    """Where people are, with everything below."""
    filter: str = "(uid={name})"
    """How one is found; `{name}` is what they typed."""
    subject_attribute: str = "entryUUID"
    """What stays the same when somebody is renamed or moved."""
    display_name_attribute: str = "cn"
    """What people are called."""
    provision: bool = False
    """Make a user for whoever comes first; otherwise people link their own account."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if _URL.fullmatch(self.url) is None:
            raise ValueError("url must be like ldaps://directory.example.gov.cn:636")
        if self.filter.count("{name}") != 1 or not self.filter.startswith("("):
            raise ValueError("filter must be like (uid={name})")
        return self
