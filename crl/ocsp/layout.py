"""How statuses, answers and tables look in the local store (`crl.ocsp.store`)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from struct import Struct
from typing import Final, Protocol

from ca.packedstatus import NUMBER, REASONS, SERIAL_OCTETS, STATES, STATUS
from ca.store import CertificateStatus
from ca.tbs import TBSCertificate, parse_tbs
from core import der, oids
from keystore.algorithms import Digest

VERSION: Final = b"2"
OTHER_ANSWERS: Final = b"1"
"""A version before, in which answers looked otherwise, and all else as now."""

PLACE: Final = Struct(">qq")
"""Position and mark of the entry of the log that was applied last."""


@dataclass(frozen=True, slots=True)
class Place:
    """Up to where the log was applied."""

    position: int
    mark: int


@dataclass(frozen=True, slots=True)
class KnownIssuer:
    """An issuer as the store knows it: no key, and no database."""

    name: str
    number: int
    certificate: bytes
    """DER."""
    chain: tuple[bytes, ...] = ()
    crosses: tuple[bytes, ...] = ()

    @property
    def subject(self) -> bytes:
        """DER Name."""
        return der.octets_of(_tbs(self.certificate).subject)

    @property
    def public_key_bits(self) -> bytes:
        """What the issuerKeyHash of a CertID is computed over."""
        return der.public_key_bits(der.octets_of(_tbs(self.certificate).spki))


class KnownCertificate(Protocol):
    """An issuer, whoever knows it."""

    @property
    def certificate(self) -> bytes:
        """DER."""
        ...


def status_key(number: int, serial: int) -> bytes:
    """Return the key of a certificate; `serial` is positive and has at most 20 octets."""
    return NUMBER.pack(number) + serial.to_bytes(SERIAL_OCTETS, "big")


def decode_status(octets: bytes) -> CertificateStatus:
    """Return what `ca.packedstatus.encode_status` wrote."""
    state, reason, revoked_at, not_after, changed_at, _ = STATUS.unpack(octets)
    return CertificateStatus(
        state=STATES[state],
        not_after=datetime.fromtimestamp(not_after, UTC),
        revoked_at=datetime.fromtimestamp(revoked_at, UTC) if state else None,
        reason=REASONS[reason - 1] if reason else None,
        changed_at=datetime.fromtimestamp(changed_at, UTC) if changed_at else None,
    )


@dataclass(frozen=True, slots=True)
class CertIDForm:
    """One way to write the CertIDs of one issuer: all of a request but the serial number.

    A client that asks with nothing but one such CertID sends `head`, and then the serial number.
    """

    head: bytes
    length: int
    """Of the whole request."""
    key_begin: bytes
    key_end: bytes
    """An answer is kept under begin, serial number and end."""


_ALGORITHMS: Final = tuple(
    (digest, der.sequence(der.encode(oid), parameters))
    for digest, oid in (
        (Digest.SHA1, oids.SHA1),
        (Digest.SHA256, oids.SHA256),
        (Digest.SM3, oids.SM3),
        (Digest.SHA384, oids.SHA384),
        (Digest.SHA512, oids.SHA512),
    )
    for parameters in (der.NULL, b"")
)


def answer_key(cert_id: bytes, number: int, serial: int) -> bytes | None:
    """Return the key of the answer to a CertID (DER); None for one that is no certificate's."""
    if not 0 < serial < 1 << 8 * SERIAL_OCTETS:
        return None
    begin = 2 if cert_id[1] < 0x80 else 2 + (cert_id[1] & 0x7F)
    for index, (_, identifier) in enumerate(_ALGORITHMS):
        if cert_id.startswith(identifier, begin):
            return status_key(number, serial) + bytes((index, serial.bit_length() // 8 + 1))
    return None


def number_in(key: bytes) -> int:
    """Return the serial number of the certificate whose status or answer is under a key."""
    return int.from_bytes(key[NUMBER.size : NUMBER.size + SERIAL_OCTETS], "big")


def is_certificates(key: bytes) -> bool:
    """Whether a key that was made by a `CertIDForm` is of a number that a certificate can have.

    It is positive, and was written as DER wants (X.690, 8.3.2).
    """
    number = number_in(key)
    return number > 0 and number.bit_length() // 8 + 1 == key[-1]


def cert_id_forms(issuer: KnownIssuer) -> list[CertIDForm]:
    """Return every form in which a simple request about a certificate of `issuer` can come."""
    forms = []
    subject, bits = issuer.subject, issuer.public_key_bits
    for index, (digest, identifier) in enumerate(_ALGORITHMS):
        hashes = b"".join(
            der.wrap(der.OCTET_STRING, hashlib.new(digest, octets, usedforsecurity=False).digest())
            for octets in (subject, bits)
        )
        for size in range(1, SERIAL_OCTETS + 1):
            request = der.wrap(der.INTEGER, bytes(size))
            request = der.sequence(identifier, hashes, request)
            for _ in range(4):  # Request, requestList, TBSRequest, OCSPRequest
                request = der.sequence(request)
            forms.append(
                CertIDForm(
                    head=request[:-size],
                    length=len(request),
                    key_begin=NUMBER.pack(issuer.number),
                    key_end=bytes((index, size)),
                )
            )
    return forms


def certificate_tail(certificate: bytes, issuers: Iterable[KnownCertificate]) -> bytes:
    """Return how an OCSP response of this responder ends: with its certificate, embedded.

    One of the `issuers` has none embedded in what it signs itself: Go takes any for a delegate.
    """
    if any(certificate == one.certificate for one in issuers):
        return b""
    return der.explicit(0, der.sequence(certificate))


def _tbs(certificate: bytes) -> TBSCertificate:
    return parse_tbs(der.split_signed(certificate, what="the issuer's certificate")[0])
