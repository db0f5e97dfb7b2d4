"""What goes over the wire about one certificate in the place of another."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ca.reasons import RevocationReason


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RenewRequest(_Wire):
    """The same key, a new validity."""

    validity_days: Annotated[int, Field(ge=1, le=36600)] | None = None
    """Default: the profile's."""


class RekeyRequest(RenewRequest):
    """A new key."""

    csr: Annotated[str, Field(max_length=90_000, description="PKCS#10 in PEM.")] | None = None
    """None: the key comes later, with a pick-up by two codes or at the make step."""


class ReissueRequest(RekeyRequest):
    """A new key, because the medium of the old one is lost."""

    reason: Literal[RevocationReason.SUPERSEDED, RevocationReason.KEY_COMPROMISE] = (
        RevocationReason.SUPERSEDED
    )
    """Why the old certificate is revoked."""
