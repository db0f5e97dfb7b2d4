"""What expiry notices need to know."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

ADDRESS = re.compile(r"[!-?A-~]{1,64}@[A-Za-z0-9.-]{1,189}")
_MAX_DAYS = 1000
_SAME_HOST = ("localhost", "127.0.0.1", "::1")


class MailConfig(BaseModel):
    """The mail server that notices go through."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str | None = None
    """Name of the mail server; without one no mail is sent."""
    port: int = Field(default=587, ge=1, le=65535)
    """Its port."""
    security: Literal["starttls", "tls", "none"] = "starttls"
    """`starttls` on the submission port, `tls` from the first octet (465), `none` for a server on
    the same host only: the message would cross the net in clear."""
    trust_file: Path | None = None
    """PEM of the roots that may have issued the server's certificate; default: the system's."""
    user: str | None = None
    """As whom to log in there."""
    password_file: Path | None = None
    """File with the password, for nobody else to read."""
    sender: str = "yinxin@localhost"
    """From whom the mail is."""
    to_holders: bool = True
    """Tell the e-mail addresses in the certificate."""
    digest_to: tuple[str, ...] = ()
    """Addresses that get one mail about all certificates that have become due."""

    @field_validator("sender")
    @classmethod
    def _is_address(cls, value: str) -> str:
        if ADDRESS.fullmatch(value) is None:
            raise ValueError(f"{value!r} is not an address like name@example.cn")
        return value

    @field_validator("digest_to")
    @classmethod
    def _are_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for item in value:
            cls._is_address(item)
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.user is None) != (self.password_file is None):
            raise ValueError("user and password_file go together")
        if self.user is not None and self.security == "none":
            raise ValueError("a password is not sent in clear: security must not be none")
        if self.security == "none" and self.host not in {None, *_SAME_HOST}:
            raise ValueError(f"security = none is for {', '.join(_SAME_HOST)} only")
        return self


class WebhookConfig(BaseModel):
    """The service that notices are posted to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str | None = None
    """https address; without one nothing is posted."""
    secret_file: Path | None = None
    """File with the secret that signs each message, for nobody else to read."""
    trust_file: Path | None = None
    """PEM of the roots that may have issued the server's certificate; default: the system's."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.url is None:
            return self
        parts = urlsplit(self.url)
        if parts.scheme != "https" or not parts.hostname or parts.username:
            raise ValueError("url must be an address like https://host/path")
        if self.secret_file is None:
            raise ValueError("secret_file is needed: its reader must know who posts")
        return self


class NoticesConfig(BaseModel):
    """When and how holders and administrators hear that a certificate expires."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    days: tuple[int, ...] = (90, 30, 7, 1)
    """How many days before the expiry; one notice at each."""
    every_seconds: int = Field(default=300, ge=1, le=86_400)
    """How often it is looked for what has become due."""
    mail: MailConfig = MailConfig()
    webhook: WebhookConfig = WebhookConfig()

    @field_validator("days")
    @classmethod
    def _are_days(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if (
            not value
            or len(set(value)) != len(value)
            or not all(1 <= n <= _MAX_DAYS for n in value)
        ):
            raise ValueError(f"days are different numbers from 1 to {_MAX_DAYS}")
        return value
