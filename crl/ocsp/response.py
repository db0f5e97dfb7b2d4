"""OCSPResponse octets (RFC 6960, 4.2) for any signature algorithm."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Annotated, Final

from cryptography.hazmat import asn1
from cryptography.x509 import ObjectIdentifier

from ca.reasons import RevocationReason
from ca.tbs import Extension
from core import der, oids
from crl.status import Standing, Status

_GOOD: Final = bytes.fromhex("8000")
_UNKNOWN: Final = bytes.fromhex("8200")
_REVOKED: Final = 0xA1
_BY_NAME: Final = 1
_BY_KEY: Final = 2
_ENUMERATED: Final = 0x0A
_SUCCESSFUL: Final = bytes.fromhex("0a0100")


class Refusal(IntEnum):
    """OCSPResponseStatus of the answers that say no, and are not signed."""

    MALFORMED_REQUEST = 1
    INTERNAL_ERROR = 2
    TRY_LATER = 3
    UNAUTHORIZED = 6


@dataclass(frozen=True, slots=True)
class Single:
    """What is said about one certificate."""

    cert_id: bytes
    """DER, the octets that were asked."""
    standing: Standing


@dataclass(frozen=True, slots=True)
class ResponseContent:
    """What one signed answer says."""

    responder_id: bytes
    """DER: `by_key` or `by_name`."""
    produced_at: datetime
    this_update: datetime
    next_update: datetime
    singles: Sequence[Single]
    archive_cutoff: datetime
    """What is said of certificates that have expired (RFC 6960, 4.4.4)."""
    nonce: bytes | None
    """The extension value that was asked, or None."""


@asn1.sequence
class _SingleResponse:
    cert_id: asn1.TLV
    cert_status: asn1.TLV
    this_update: asn1.GeneralizedTime
    next_update: Annotated[asn1.GeneralizedTime, asn1.Explicit(0)]
    single_extensions: Annotated[list[Extension] | None, asn1.Explicit(1)]


@asn1.sequence
class _ResponseData:
    responder_id: asn1.TLV
    produced_at: asn1.GeneralizedTime
    responses: list[_SingleResponse]
    response_extensions: Annotated[list[Extension] | None, asn1.Explicit(1)]


@asn1.sequence
class _BasicOCSPResponse:
    tbs_response_data: asn1.TLV
    signature_algorithm: asn1.TLV
    signature: asn1.BitString
    certs: Annotated[list[asn1.TLV] | None, asn1.Explicit(0)]


@asn1.sequence
class _ResponseBytes:
    response_type: ObjectIdentifier
    response: bytes


def encode_refusal(refusal: Refusal) -> bytes:
    """Return the five octets that say no."""
    return der.sequence(der.wrap(_ENUMERATED, bytes((refusal,))))


def by_key(public_key_bits: bytes) -> bytes:
    """Return the ResponderID of who has this key.

    RFC 6960, 4.2.1: KeyHash is SHA-1, whatever hash the CertID uses.
    """
    digest = hashlib.sha1(public_key_bits, usedforsecurity=False).digest()
    return der.explicit(_BY_KEY, der.encode(digest))


def by_name(subject: bytes) -> bytes:
    """Return the ResponderID of who has this Name, DER."""
    return der.explicit(_BY_NAME, subject)


def encode_response_data(content: ResponseContent) -> bytes:
    """Return the octets to sign."""
    this_update, next_update = _time(content.this_update), _time(content.next_update)
    return der.encode(
        _ResponseData(
            responder_id=der.verbatim(content.responder_id),
            produced_at=_time(content.produced_at),
            responses=[
                _SingleResponse(
                    cert_id=der.verbatim(single.cert_id),
                    cert_status=der.verbatim(_cert_status(single.standing)),
                    this_update=this_update,
                    next_update=next_update,
                    single_extensions=_archived(content) if single.standing.expired else None,
                )
                for single in content.singles
            ],
            response_extensions=None
            if content.nonce is None
            else [Extension(oid=oids.OCSP_NONCE, critical=False, value=content.nonce)],
        )
    )


def encode_response(
    tbs: bytes, algorithm: bytes, signature: bytes, certificate: bytes | None
) -> bytes:
    """Return the whole answer; `certificate`: the delegated signer's, to be embedded."""
    basic = _BasicOCSPResponse(
        tbs_response_data=der.verbatim(tbs),
        signature_algorithm=der.verbatim(algorithm),
        signature=der.bit_string(signature),
        certs=None if certificate is None else [der.verbatim(certificate)],
    )
    response_bytes = _ResponseBytes(response_type=oids.OCSP_BASIC, response=der.encode(basic))
    return der.sequence(_SUCCESSFUL, der.explicit(0, der.encode(response_bytes)))


def _cert_status(standing: Standing) -> bytes:
    if standing.status is Status.GOOD:
        return _GOOD
    if standing.status is Status.UNKNOWN or standing.revoked_at is None:
        return _UNKNOWN
    revocation_time = der.encode(_time(standing.revoked_at))
    # RFC 6960, 4.2.2.1 and RFC 5280, 5.3.1: the reason is absent instead of "unspecified".
    if standing.reason in (None, RevocationReason.UNSPECIFIED):
        return der.wrap(_REVOKED, revocation_time)
    code = der.wrap(_ENUMERATED, bytes((standing.reason.code,)))
    return der.wrap(_REVOKED, revocation_time, der.explicit(0, code))


def _archived(content: ResponseContent) -> list[Extension]:
    value = der.encode(_time(content.archive_cutoff))
    return [Extension(oid=oids.OCSP_ARCHIVE_CUTOFF, critical=False, value=value)]


def _time(moment: datetime) -> asn1.GeneralizedTime:
    # RFC 6960, 4.2.2.1: GeneralizedTime, here as in RFC 5280: Z, no fractions.
    return asn1.GeneralizedTime(moment.astimezone(UTC).replace(microsecond=0))
