"""TBSCertList octets (RFC 5280, 5.1) for any signature algorithm."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final

from cryptography import x509
from cryptography.hazmat import asn1

from ca.reasons import RevocationReason
from ca.store import RevokedEntry
from ca.tbs import Extension
from core import der

_V2: Final = 1


@dataclass(frozen=True, slots=True)
class CRLContent:
    """What one full CRL says."""

    issuer: bytes
    """DER Name."""
    issuer_key_identifier: bytes
    """The subject key identifier of the issuer's certificate."""
    algorithm: bytes
    """DER AlgorithmIdentifier of the signature."""
    number: int
    this_update: datetime
    next_update: datetime
    entries: tuple[RevokedEntry, ...]


@asn1.sequence
class _RevokedCertificate:
    user_certificate: int
    revocation_date: asn1.UTCTime | asn1.GeneralizedTime
    crl_entry_extensions: list[Extension] | None


@asn1.sequence
class _TBSCertList:
    version: int
    signature: asn1.TLV
    issuer: asn1.TLV
    this_update: asn1.UTCTime | asn1.GeneralizedTime
    next_update: asn1.UTCTime | asn1.GeneralizedTime
    revoked_certificates: list[_RevokedCertificate] | None
    crl_extensions: Annotated[list[Extension], asn1.Explicit(0)]


def encode_tbs(content: CRLContent) -> bytes:
    """Return the octets to sign."""
    return der.encode(
        _TBSCertList(
            version=_V2,
            signature=der.verbatim(content.algorithm),
            issuer=der.verbatim(content.issuer),
            this_update=_time(content.this_update),
            next_update=_time(content.next_update),
            revoked_certificates=_revoked(content.entries),
            crl_extensions=[
                _extension(x509.AuthorityKeyIdentifier(content.issuer_key_identifier, None, None)),
                _extension(x509.CRLNumber(content.number)),
            ],
        )
    )


def _revoked(entries: Iterable[RevokedEntry]) -> list[_RevokedCertificate] | None:
    # RFC 5280, 5.1.2.6: the list is absent when there is nothing in it.
    return [
        _RevokedCertificate(
            user_certificate=entry.serial,
            revocation_date=_time(entry.revoked_at),
            crl_entry_extensions=_REASON[entry.reason],
        )
        for entry in entries
    ] or None


def _extension(value: x509.ExtensionType) -> Extension:
    return Extension(oid=value.oid, critical=False, value=value.public_bytes())


def _time(moment: datetime) -> asn1.UTCTime | asn1.GeneralizedTime:
    # RFC 5280, 5.1.2.4: UTCTime through 2049, GeneralizedTime from 2050 on, whole seconds.
    utc = moment.astimezone(UTC).replace(microsecond=0)
    return asn1.UTCTime(utc) if utc.year < 2050 else asn1.GeneralizedTime(utc)


_FLAG: Final = {flag.value: flag for flag in x509.ReasonFlags}

# RFC 5280, 5.3.1: reasonCode is absent instead of "unspecified".
_REASON: Final[dict[RevocationReason, list[Extension] | None]] = {
    reason: None
    if reason is RevocationReason.UNSPECIFIED
    else [_extension(x509.CRLReason(_FLAG[reason.value]))]
    for reason in RevocationReason
}
