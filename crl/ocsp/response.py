"""OCSPResponse octets (RFC 6960, 4.2) for any signature algorithm."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from functools import cache, lru_cache
from math import floor
from typing import Final

from cryptography.hazmat import asn1

from ca.reasons import RevocationReason
from core import der, oids
from crl.status import Standing, Status

_GOOD: Final = bytes.fromhex("8000")
_UNKNOWN: Final = bytes.fromhex("8200")
_REVOKED: Final = 0xA1
_BY_NAME: Final = 1
_BY_KEY: Final = 2
_ENUMERATED: Final = 0x0A
_SECONDS: Final = 1024
"""So many moments are remembered as they are written: answers of one second share theirs."""
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


@cache
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
    this_update = _time(content.this_update)
    next_update = der.explicit(0, _time(content.next_update))
    singles = (
        der.sequence(
            single.cert_id,
            _cert_status(single.standing),
            this_update,
            next_update,
            *(_archived(content) if single.standing.expired else ()),
        )
        for single in content.singles
    )
    extensions = () if content.nonce is None else (_extensions(_NONCE, content.nonce),)
    return der.sequence(
        content.responder_id, _time(content.produced_at), der.sequence(*singles), *extensions
    )


def encode_response(
    tbs: bytes, algorithm: bytes, signature: bytes, certificate: bytes | None
) -> bytes:
    """Return the whole answer; `certificate`: the delegated signer's, to be embedded."""
    certificates = () if certificate is None else (der.explicit(0, der.sequence(certificate)),)
    bits = der.wrap(der.BIT_STRING, b"\0", signature)
    basic = der.sequence(tbs, algorithm, bits, *certificates)
    response_bytes = der.sequence(_BASIC, der.wrap(der.OCTET_STRING, basic))
    return der.sequence(_SUCCESSFUL, der.explicit(0, response_bytes))


def _cert_status(standing: Standing) -> bytes:
    if standing.status is Status.GOOD:
        return _GOOD
    if standing.status is Status.UNKNOWN or standing.revoked_at is None:
        return _UNKNOWN
    revocation_time = _time(standing.revoked_at)
    # RFC 6960, 4.2.2.1 and RFC 5280, 5.3.1: the reason is absent instead of "unspecified".
    if standing.reason in (None, RevocationReason.UNSPECIFIED):
        return der.wrap(_REVOKED, revocation_time)
    code = der.wrap(_ENUMERATED, bytes((standing.reason.code,)))
    return der.wrap(_REVOKED, revocation_time, der.explicit(0, code))


def _archived(content: ResponseContent) -> tuple[bytes]:
    return (_extensions(_ARCHIVE_CUTOFF, _time(content.archive_cutoff)),)


def _extensions(name: bytes, value: bytes) -> bytes:
    """Return ``[1] EXPLICIT Extensions`` with one that is not critical."""
    return der.explicit(1, der.sequence(der.sequence(name, der.wrap(der.OCTET_STRING, value))))


def _time(moment: datetime) -> bytes:
    return _time_of(floor(moment.timestamp()))


@lru_cache(maxsize=_SECONDS)
def _time_of(second: int) -> bytes:
    # RFC 6960, 4.2.2.1: GeneralizedTime, here as in RFC 5280: Z, no fractions.
    return der.encode(asn1.GeneralizedTime(datetime.fromtimestamp(second, UTC)))


# Joined here: declared structures, which take what is embedded apart once more, took three
# quarters of the time of a signature by P-256.
_BASIC: Final = der.encode(oids.OCSP_BASIC)
_NONCE: Final = der.encode(oids.OCSP_NONCE)
_ARCHIVE_CUTOFF: Final = der.encode(oids.OCSP_ARCHIVE_CUTOFF)
