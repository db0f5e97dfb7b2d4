"""What goes over the wire about pairs."""

from __future__ import annotations

from base64 import b64encode
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from ca.dual import Pair
from ca.schemas import CertificateView
from keystore.escrow.schemas import Reason


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class UserRecoveryRequest(_Wire):
    """Which signing certificate of the holder the key shall be enveloped to."""

    issuer: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$", examples=["sm2-issuing"])]
    serial: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{1,40}$")]
    reason: Reason


class PairView(_Wire):
    """A signing and an encryption certificate, and the encryption key enveloped."""

    signing: CertificateView
    encryption: CertificateView
    enveloped_key: str
    """SM2EnvelopedKey (GB/T 35276) to the signing key of the request, DER in base64."""

    @classmethod
    def of(cls, pair: Pair) -> Self:
        """Show a pair."""
        return cls(
            signing=CertificateView.of(pair.signing),
            encryption=CertificateView.of(pair.encryption),
            enveloped_key=b64encode(pair.enveloped).decode(),
        )
