"""TBSCertificate octets (RFC 5280, 4.1) for any algorithm, both ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Final

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
    """What goes into a TBSCertificate. What is octets here is DER, and taken octet for octet."""

    serial: SerialNumber
    signature_algorithm: bytes
    issuer: bytes
    not_before: datetime
    not_after: datetime
    subject: bytes
    spki: bytes
    extensions: Sequence[bytes]
    """Each as `encode_extension` writes it."""


def encode_tbs(fields: Fields) -> bytes:
    """Return the octets to be signed."""
    # Joined here: most of it is the same octets again and again. Lint reads it back strictly.
    return der.sequence(
        _VERSION_3,
        der.encode(fields.serial),
        fields.signature_algorithm,
        fields.issuer,
        _validity(fields.not_before, fields.not_after),
        fields.subject,
        fields.spki,
        der.explicit(3, der.sequence(*fields.extensions)),
    )


def encode_extension(extension: Extension) -> bytes:
    """Return one extension as it stands in a certificate."""
    return der.encode(extension)


def parse_tbs(octets: bytes) -> TBSCertificate:
    """Decode version 3 TBS octets, strictly. Raises `Malformed`."""
    return der.decode(TBSCertificate, octets, what="the to-be-signed certificate")


def extension_value(tbs: TBSCertificate, oid: ObjectIdentifier) -> bytes | None:
    """Return the value of an extension, or None."""
    return next((item.value for item in tbs.extensions if item.oid == oid), None)


@lru_cache(maxsize=64)  # those of one second
def _validity(not_before: datetime, not_after: datetime) -> bytes:
    return der.encode(Validity(not_before=_time(not_before), not_after=_time(not_after)))


def _time(moment: datetime) -> asn1.UTCTime | asn1.GeneralizedTime:
    return asn1.UTCTime(moment) if moment.year < 2050 else asn1.GeneralizedTime(moment)


_VERSION_3: Final = der.explicit(0, der.encode(2))
