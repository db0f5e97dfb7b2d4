"""Where CRLs and CA certificates are put besides this service."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ENDPOINT: Final = re.compile(r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::\d{1,5})?")
_PREFIX: Final = re.compile(r"(?:[A-Za-z0-9._-]+/)*")


class MirrorConfig(BaseModel):
    """A directory, or a bucket of S3-compatible storage, for web servers and CDNs.

    Objects have the paths of the revocation URL: ``crl/…`` and ``ca/…``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    directory: Path | None = None
    """Write files here, each replaced at once. It must exist."""
    bucket: str | None = None
    """Write objects into this bucket."""
    endpoint: str | None = None
    """Where the storage is, like `https://s3.example.gov.cn`. The path begins with the bucket."""
    region: str = "us-east-1"
    """Part of the signature; most storages take any."""
    prefix: str = ""
    """Goes in front of every path in the bucket; ends with a slash if it is not empty."""
    trust_file: Path | None = None
    """PEM of the roots that may have issued the storage's certificate; default: the system's."""
    access_key: str | None = None
    """The name of the access key."""
    secret_key_file: Path | None = None
    """File with the secret of the access key, for nobody else to read."""
    every_seconds: int = Field(default=5, ge=1, le=86_400)
    """How often it is looked for what has changed."""

    @field_validator("bucket")
    @classmethod
    def _is_bucket(cls, value: str | None) -> str | None:
        if value is not None and _BUCKET.fullmatch(value) is None:
            raise ValueError("bucket has 3 to 63 lowercase letters, digits, dots and hyphens")
        return value

    @field_validator("endpoint")
    @classmethod
    def _is_endpoint(cls, value: str | None) -> str | None:
        if value is not None and _ENDPOINT.fullmatch(value) is None:
            raise ValueError("endpoint must be like https://s3.example.gov.cn:9000")
        return value

    @field_validator("prefix")
    @classmethod
    def _is_prefix(cls, value: str) -> str:
        if _PREFIX.fullmatch(value) is None:
            raise ValueError("prefix must be like pki/ or pki/province/")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        needed = (self.endpoint, self.access_key, self.secret_key_file)
        if self.bucket is not None and None in needed:
            raise ValueError("bucket needs endpoint, access_key and secret_key_file")
        return self
