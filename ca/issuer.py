"""An issuer: a CA certificate, the signer of its key, and the rules of signing.

A certificate goes through four types, in this order only:

    IssuanceRequest   what the requester wants
    Prepared          the exact TBSCertificate octets, checked and linted
    Reserved          the same, after the intent to sign is durable
    Issued            the signed certificate

Each step takes the type that the step before it returns, so that the type checker refuses to sign
what was not reserved.
"""

from __future__ import annotations

from dataclasses import dataclass

from core import der
from keystore.backend import Signer


@dataclass(frozen=True, slots=True)
class Issuer:
    """One CA certificate with its signer, in this service."""

    name: str
    """A short stable word: ``sm2-root``, ``rsa-issuing``. Part of URLs; never reused."""
    certificate: bytes
    """DER."""
    chain: tuple[bytes, ...]
    """DER of the certificates above it, parent first, root last; empty for a root."""
    signer: Signer
    subject: bytes
    """DER Name, octet for octet as in `certificate`."""

    @property
    def spki(self) -> bytes:
        """DER SubjectPublicKeyInfo of the issuer's key."""
        return self.signer.key.public_key

    @property
    def public_key_bits(self) -> bytes:
        """What key identifiers and issuerKeyHash are computed over."""
        return der.public_key_bits(self.spki)
