"""TBSCertificate octets (RFC 5280, 4.1) for any algorithm, both ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from cryptography.hazmat import asn1
from cryptography.x509 import ObjectIdentifier

from ca.serials import SerialNumber
from core import der


@asn1.sequence
class Extension:
    """RFC 5280, 4.1. `value` is the DER of the extension's own type."""

    oid: ObjectIdentifier
    critical: Annotated[bool, asn1.Default(False)]
    value: bytes


@asn1.sequence
class Validity:
    """RFC 5280, 4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050 on."""

    not_before: asn1.UTCTime | asn1.GeneralizedTime
    not_after: asn1.UTCTime | asn1.GeneralizedTime


@asn1.sequence
class TBSCertificate:
    """RFC 5280, 4.1.2, version 3, without the unique identifiers nobody uses."""

    version: Annotated[int, asn1.Explicit(0)]
    serial: int
    signature: asn1.TLV
    issuer: asn1.TLV
    validity: Validity
    subject: asn1.TLV
    spki: asn1.TLV
    extensions: Annotated[list[Extension], asn1.Explicit(3)]


@dataclass(frozen=True, slots=True)
class Fields:
    """What goes into a TBSCertificate. Names, key and algorithm are DER, taken octet for octet."""

    serial: SerialNumber
    signature_algorithm: bytes
    issuer: bytes
    not_before: datetime
    not_after: datetime
    subject: bytes
    spki: bytes
    extensions: Sequence[Extension]


def encode_tbs(fields: Fields) -> bytes:
    """Return the octets to be signed."""
    return der.encode(
        TBSCertificate(
            version=2,
            serial=fields.serial,
            signature=der.verbatim(fields.signature_algorithm),
            issuer=der.verbatim(fields.issuer),
            validity=Validity(
                not_before=_time(fields.not_before), not_after=_time(fields.not_after)
            ),
            subject=der.verbatim(fields.subject),
            spki=der.verbatim(fields.spki),
            extensions=list(fields.extensions),
        )
    )


def parse_tbs(octets: bytes) -> TBSCertificate:
    """Decode version 3 TBS octets, strictly. Raises `Malformed`."""
    return der.decode(TBSCertificate, octets, what="the to-be-signed certificate")


def extension_value(tbs: TBSCertificate, oid: ObjectIdentifier) -> bytes | None:
    """Return the value of an extension, or None."""
    return next((item.value for item in tbs.extensions if item.oid == oid), None)


def _time(moment: datetime) -> asn1.UTCTime | asn1.GeneralizedTime:
    return asn1.UTCTime(moment) if moment.year < 2050 else asn1.GeneralizedTime(moment)
