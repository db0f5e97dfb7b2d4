"""The other side of OCSP: a request of ours, to any responder (RFC 6960, 4.1)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from ca.tbs import TBSCertificate, parse_tbs
from core import der, oids
from keystore.algorithms import Digest

_OID: Final = {
    Digest.SHA1: oids.SHA1,
    Digest.SHA256: oids.SHA256,
    Digest.SHA384: oids.SHA384,
    Digest.SHA512: oids.SHA512,
    Digest.SM3: oids.SM3,
}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about one certificate."""

    issuer: bytes
    """The issuer's certificate, DER."""
    serial: int
    digest: Digest = Digest.SHA1
    nonce: bytes = b""
    """1 to 128 octets; empty: none is sent."""

    @property
    def cert_id(self) -> bytes:
        """The CertID, DER."""
        issuer = tbs_of(self.issuer)
        hashed = (der.octets_of(issuer.subject), key_bits(issuer))
        return der.sequence(
            der.sequence(der.encode(_OID[self.digest]), der.NULL),
            *(der.encode(_hash(self.digest, octets)) for octets in hashed),
            der.encode(self.serial),
        )

    @property
    def request(self) -> bytes:
        """The whole OCSPRequest, DER."""
        extensions = b""
        if self.nonce:
            nonce = der.sequence(der.encode(oids.OCSP_NONCE), der.encode(der.encode(self.nonce)))
            extensions = der.explicit(2, der.sequence(nonce))
        asked = der.sequence(der.sequence(self.cert_id))
        return der.sequence(der.sequence(asked, extensions))


def tbs_of(certificate: bytes) -> TBSCertificate:
    """Return what a certificate says. Raises `Malformed`."""
    return parse_tbs(der.split_signed(certificate, what="the certificate")[0])


def key_bits(certificate: TBSCertificate) -> bytes:
    """Return what issuerKeyHash is computed over: the key, not its identifier."""
    return der.public_key_bits(der.octets_of(certificate.spki))


def _hash(digest: Digest, octets: bytes) -> bytes:
    return hashlib.new(digest.value, octets, usedforsecurity=False).digest()
