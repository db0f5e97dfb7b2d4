"""What an installation says about bulk requests."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator

from core.errors import Malformed
from keystore import keyref


class BulkConfig(BaseModel):
    """How large a batch may be, and how long its private keys are kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_rows: int = Field(default=10_000, ge=1, le=100_000)
    """The most people or devices of one file."""
    max_file_octets: int = Field(default=33_554_432, ge=65_536, le=134_217_728)
    """The longest file that is read, in octets."""
    keep_hours: int = Field(default=168, ge=1, le=8_760)
    """What was not submitted, or not fetched after it was issued, is erased after this time."""
    storage_key: str = "software:object=bulk-storage-1"
    """The key under which private keys made for a batch wait to be fetched; made on first use."""

    @field_validator("storage_key")
    @classmethod
    def _is_reference(cls, value: str) -> str:
        try:
            return keyref.parse(value)
        except Malformed as error:
            raise ValueError(str(error)) from error
