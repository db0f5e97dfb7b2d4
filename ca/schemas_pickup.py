"""What goes over the wire to subscribers."""

from __future__ import annotations

from base64 import b64encode
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from ca.formats import CertificateFormat, pem, render
from ca.handover import Delivery
from ca.requests import RequestState


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


CSRText = Annotated[str, Field(max_length=90_000, description="PKCS#10 in PEM.")]


class PickupRequest(_Wire):
    """Both codes, and the key they are for."""

    reference: Annotated[str, Field(max_length=40, examples=["4711-0815-4242"])]
    code: Annotated[str, Field(max_length=60)]
    csr: CSRText


class DeliveryView(_Wire):
    """What a request has given its subscriber."""

    request: Annotated[str, Field(examples=["9f86d081884c7d659a2feaa0c55ad015"])]
    state: RequestState
    certificate: str | None
    """PEM; None while it waits for a review."""
    chain: str | None
    """PEM, the certificate first, without the root."""
    encryption_certificate: str | None
    """PEM; of a pair."""
    enveloped_key: str | None
    """The encryption key of a pair, enveloped to the key of the request; base64."""

    @classmethod
    def of(cls, delivery: Delivery) -> Self:
        """Show a delivery."""
        der, pair = delivery.certificate, delivery.pair
        chain = b"" if der is None else render(der, delivery.above, CertificateFormat.CHAIN)
        encryption = None if pair is None else pair.encryption.der
        return cls(
            request=delivery.record.id,
            state=delivery.record.state,
            certificate=None if der is None else pem(der).decode(),
            chain=chain.decode() or None,
            encryption_certificate=None if encryption is None else pem(encryption).decode(),
            enveloped_key=None if pair is None else b64encode(pair.enveloped).decode(),
        )


class RenewalRequest(_Wire):
    """What to renew. All of it is optional with a client certificate."""

    issuer: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")] | None = None
    serial: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{1,40}$")] | None = None
    csr: CSRText | None = None
