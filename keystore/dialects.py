"""The dialects in which an escrowed encryption key is handed to its holder."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from keystore.algorithms import KeyAlgorithm


class Dialect(StrEnum):
    """How an encryption key travels. The value is the name in profiles, on the wire and in logs."""

    CSR_RESPONSE = "csrresponse"
    """GM/T 0092: both certificates and an SM2EnvelopedKey."""
    ENVELOPED_KEY = "enveloped-key"
    """GB/T 35276: SM2EnvelopedKey."""
    SKF = "skf"
    """GM/T 0016: ENVELOPEDKEYBLOB, for SKF_ImportECCKeyPair."""
    SIGNED_AND_ENVELOPED = "signed-and-enveloped"
    """GB/T 35275: SignedAndEnvelopedData, signed by the key management centre."""
    CFCA = "cfca"
    """To the temporary key of a double request, as CFCA's clients read it."""
    ENVELOPED_DATA = "enveloped-data"
    """RFC 5652: EnvelopedData, for RSA."""
    PKCS12 = "pkcs12"
    """RFC 7292, behind a password that only the key management centre learns; given once."""


ESCROWED: Final = (KeyAlgorithm.SM2, KeyAlgorithm.RSA_2048, KeyAlgorithm.RSA_3072)
"""The kinds of encryption keys that a key management centre makes."""


def possible_dialects(algorithm: KeyAlgorithm) -> tuple[Dialect, ...]:
    """Return the dialects that can carry a key of this algorithm, the usual one first."""
    if algorithm is KeyAlgorithm.SM2:
        return tuple(dialect for dialect in Dialect if dialect is not Dialect.ENVELOPED_DATA)
    return (Dialect.ENVELOPED_DATA, Dialect.PKCS12)
