"""What goes over the wire to subscribers."""

from __future__ import annotations

from base64 import b64encode
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from ca.formats import CertificateFormat, pem, render
from ca.handover import Delivery, WantedEnvelope
from ca.requests import RequestState
from ca.schemas_pairs import sealed_octets
from keystore import pem as keypem
from keystore.dialects import Dialect


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


CSRText = Annotated[str, Field(max_length=90_000, description="PKCS#10 in PEM.")]


class _WithEnvelope(_Wire):
    """How the encryption key of a pair is wanted."""

    format: Dialect | None = None
    """One of `envelopes` in the answer; None: the kept envelope alone."""
    sealed_password: Annotated[str, Field(max_length=1000)] | None = None
    """For ``pkcs12``: base64, sealed to `transport_key`."""

    @property
    def wanted(self) -> WantedEnvelope | None:
        """Raises `Malformed`."""
        if self.format is None:
            return None
        sealed = self.sealed_password
        return WantedEnvelope(self.format, None if sealed is None else sealed_octets(sealed))


class PickupRequest(_WithEnvelope):
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
    """The encryption key of a pair, enveloped to the key of the request, or to the temporary key
    of a double one; base64."""
    envelopes: tuple[Dialect, ...]
    """In which formats that key can be had."""
    envelope: str | None
    """The same key in the format that was asked for; base64."""
    transport_key: str | None
    """PEM: what the password of a PKCS#12 file is sealed to, where that is one of `envelopes`."""

    @classmethod
    def waiting(cls, request: str) -> Self:
        """Show a request whose key is taken, and whose certificate is not there yet."""
        return cls(
            request=request,
            state=RequestState.APPROVED,
            certificate=None,
            chain=None,
            encryption_certificate=None,
            enveloped_key=None,
            envelopes=(),
            envelope=None,
            transport_key=None,
        )

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
            envelopes=delivery.dialects,
            envelope=None if delivery.envelope is None else b64encode(delivery.envelope).decode(),
            transport_key=(
                None
                if delivery.transport_key is None
                else keypem.encode(delivery.transport_key, "PUBLIC KEY").decode()
            ),
        )


class RenewalRequest(_WithEnvelope):
    """What to renew. All of it is optional with a client certificate."""

    issuer: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")] | None = None
    serial: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{1,40}$")] | None = None
    csr: CSRText | None = None
