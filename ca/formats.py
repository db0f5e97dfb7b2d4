"""A certificate in the forms that tools read: PEM, DER, a chain, PKCS#7."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from ca.pkcs7 import certs_only


class CertificateFormat(StrEnum):
    """How to send a certificate."""

    JSON = "json"
    PEM = "pem"
    DER = "der"
    P7C = "p7c"
    """Certificate and chain in a certs-only PKCS#7 message, DER."""
    CHAIN = "chain"
    """Certificate and chain in PEM, leaf first, without the root."""


MEDIA_TYPE: Final = {
    CertificateFormat.JSON: "application/json",
    CertificateFormat.PEM: "application/x-pem-file",
    CertificateFormat.DER: "application/pkix-cert",  # RFC 2585
    CertificateFormat.P7C: "application/pkcs7-mime",  # RFC 8551, 3.2.2
    CertificateFormat.CHAIN: "application/pem-certificate-chain",  # RFC 8555, 9.1
}


def pem(der: bytes) -> bytes:
    """Return RFC 7468 text of a certificate."""
    text = b64encode(der)
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return b"\n".join((b"-----BEGIN CERTIFICATE-----", *lines, b"-----END CERTIFICATE-----", b""))


def render(certificate: bytes, chain: Sequence[bytes], form: CertificateFormat) -> bytes:
    """Return the octets of `form`. `chain` is parent first, root last."""
    match form:
        case CertificateFormat.DER:
            return certificate
        case CertificateFormat.PEM:
            return pem(certificate)
        case CertificateFormat.CHAIN:
            return b"".join(pem(octets) for octets in (certificate, *chain[:-1]))
        case CertificateFormat.P7C:
            return certs_only((certificate, *chain))
        case CertificateFormat.JSON:
            raise ValueError("JSON is the record, not the certificate")


def negotiate(accept: str) -> CertificateFormat:
    """Choose a form by an Accept header: the first media type there that we know, else JSON."""
    wanted = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    by_type = {media_type: form for form, media_type in MEDIA_TYPE.items()}
    return next((by_type[item] for item in wanted if item in by_type), CertificateFormat.JSON)
