"""The few fields of a certificate that containers of keys refer to.

Read here, because `cryptography` gives no public key of a curve that it does not know, and the
authority's own parser is a floor above.
"""

from __future__ import annotations

from typing import Annotated

from cryptography.hazmat import asn1

from core import der
from keystore.verify import normalise_spki


@asn1.sequence
class _TBSCertificate:
    """RFC 5280, 4.1.2, version 3 without unique identifiers."""

    version: Annotated[int, asn1.Explicit(0)]
    serial: int
    signature: asn1.TLV
    issuer: asn1.TLV
    validity: asn1.TLV
    subject: asn1.TLV
    spki: asn1.TLV
    extensions: Annotated[asn1.TLV, asn1.Explicit(3)]


def public_key_of(certificate: bytes) -> bytes:
    """Return the SubjectPublicKeyInfo in the one form we write. Raises `Malformed`, `Refused`."""
    return normalise_spki(der.octets_of(_parse(certificate).spki))


def issuer_and_serial(certificate: bytes) -> bytes:
    """Return DER IssuerAndSerialNumber (RFC 5652, 10.2.4). Raises `Malformed`."""
    tbs = _parse(certificate)
    return der.sequence(der.octets_of(tbs.issuer), der.encode(tbs.serial))


def _parse(certificate: bytes) -> _TBSCertificate:
    what = "the certificate"
    tbs, _, _ = der.split_signed(certificate, what=what)
    return der.decode(_TBSCertificate, tbs, what=what)
