"""What the re-audit of the database can find, and what it looks at to find it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ca.reasons import RevocationReason
from ca.serials import to_hex
from ca.store import CertificateRecord, CertificateState

KINDS: Final = {
    "row": "a row holds values that this release does not know",
    "octets": "the stored octets are not a certificate",
    "intent": "what was signed is not what was reserved",
    "signature": "the signature does not verify under the issuer's key",
    "serial": "the serial number of the row is not the certificate's, or is no serial number",
    "duplicate": "an issuer, serial number or a request stands in two rows",
    "fingerprint": "the fingerprint of the row is not the certificate's",
    "key": "the key fingerprint of the row is not that of the certificate's key",
    "subject": "the subject of the row is not the certificate's",
    "validity": "the dates of the row are not the certificate's, or leave the issuer's",
    "issuer": "the issuer of the row is unknown, or not the one that the certificate names",
    "chain": "an issuer's certificate does not lead to a root",
    "lint": "the certificate breaks a lint rule",
    "profile": "the certificate is not what its profile, as it is today, makes",
    "request": "the request is missing, was rejected, or asked for another key or profile",
    "pair": "the other half or the key envelope is missing, or the halves do not belong together",
    "state": "the state does not fit what is stored",
    "revocation": "the state is not what the last revocation event says",
    "partition": "the certificate points to a CRL that is not that of its serial number",
    "crl": "the current CRL does not say what the state says, or is not the issuer's",
    "counts": "the counts that are kept are not those of the certificates",
    "audit": "the audit log has no event of the issue, or the database lacks what it names",
}
"""Every kind of fault. docs/check.md says what to do about each."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is not as it should be."""

    kind: str
    issuer: str
    serial: str
    """40 hex digits, or empty where it is about an issuer. Counts are about none."""
    sentence: str


@dataclass(frozen=True, slots=True)
class IssuerFacts:
    """The certificates of one issuer's key, the present one first."""

    name: str
    certificates: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What a certificate must agree with in the request that gave it."""

    profile: str
    rejected: bool
    spki: bytes
    """Empty: the key came later."""


@dataclass(frozen=True, slots=True)
class StatusEvent:
    """The last revoke, hold or release of a serial number."""

    position: int
    state: CertificateState
    reason: RevocationReason | None


@dataclass(frozen=True, slots=True)
class Listing:
    """What the issuer's current CRL says of a serial number."""

    number: int
    position: int
    """Changes up to this one are in it."""
    this_update: datetime
    revoked_at: datetime | None
    """None: it is not on it."""
    reason: RevocationReason | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What belongs to one certificate in other rows."""

    request: RequestFacts | None = None
    partner: CertificateRecord | None = None
    has_envelope: bool = False
    event: StatusEvent | None = None
    listing: Listing | None = None
    """None: the issuer has no CRL."""


def fault(kind: str, record: CertificateRecord, sentence: str) -> Fault:
    """Return a fault of one certificate."""
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is not a kind of fault")
    return Fault(kind, record.issuer, to_hex(record.serial), sentence)
