"""What goes over the wire about pairs."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from ca.dual import Pair
from ca.formats import pem
from ca.schemas import CertificateView
from core.errors import Malformed
from keystore import pem as keypem
from keystore.algorithms import KeyAlgorithm
from keystore.dialects import Dialect
from keystore.escrow.identity import Identity
from keystore.escrow.schemas import Reason


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class UserRecoveryRequest(_Wire):
    """Which signing certificate of the holder the key shall be enveloped to."""

    issuer: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$", examples=["sm2-issuing"])]
    serial: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{1,40}$")]
    reason: Reason


class PKCS12Request(_Wire):
    """The password of a PKCS#12 file, for nobody but the key management centre."""

    sealed_password: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9+/]{4,684}={0,2}$",
            description="DER SM2Cipher to the centre's transport key, in base64: of the text "
            "`yinxin pkcs12 password`, a zero octet, the request's id, a zero octet and the "
            "password. `yinxin request pair --format pkcs12` makes it.",
        ),
    ]

    @property
    def octets(self) -> bytes:
        """Raises `Malformed`."""
        return sealed_octets(self.sealed_password)


def sealed_octets(text: str) -> bytes:
    """Return a sealed password. Raises `Malformed`."""
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed("sealed_password is not base64") from error


class KeyManagementIdentityView(_Wire):
    """Public keys of the key management centre."""

    signing_certificate: str
    """PEM. Self-signed: pin it."""
    transport_key: str
    """PEM of an SM2 public key, to which passwords are sealed."""

    @classmethod
    def of(cls, identity: Identity) -> Self:
        """Show both."""
        return cls(
            signing_certificate=pem(identity.certificate).decode(),
            transport_key=keypem.encode(identity.transport_key, "PUBLIC KEY").decode(),
        )


class PairView(_Wire):
    """A signing and an encryption certificate, and the encryption key enveloped."""

    signing: CertificateView
    encryption: CertificateView
    algorithm: KeyAlgorithm
    enveloped_key: str
    """DER in base64, to the signing key of the request or to the temporary key of a double one:
    SM2EnvelopedKey (GB/T 35276), or for RSA CMS EnvelopedData (RFC 5652) of PKCS#8."""
    envelopes: tuple[Dialect, ...]
    """In which formats this pair can be fetched, the usual one first."""

    @classmethod
    def of(cls, pair: Pair, envelopes: Sequence[Dialect]) -> Self:
        """Show a pair."""
        return cls(
            signing=CertificateView.of(pair.signing),
            encryption=CertificateView.of(pair.encryption),
            algorithm=pair.algorithm,
            enveloped_key=b64encode(pair.enveloped).decode(),
            envelopes=tuple(envelopes),
        )
