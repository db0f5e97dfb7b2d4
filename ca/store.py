"""What the authority remembers, as protocols. `ca.sqlstore` implements them.

Every method joins the open transaction (`core.transaction`) or is durable on its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from ca.reasons import RevocationReason
from ca.serials import SerialNumber


class CertificateState(StrEnum):
    """Where a certificate is in its life."""

    RESERVED = "reserved"
    """The intent is durable; we may or may not have signed. Revocable, never `good`."""
    ISSUED = "issued"
    FAILED = "failed"
    """The attempt failed before a signature left the keystore; the serial is burned."""
    HELD = "held"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class CertificateRecord:
    """One certificate, or the intent to make one."""

    issuer: str
    """The issuer's name in this service, like ``rsa-issuing``."""
    serial: SerialNumber
    state: CertificateState
    profile: str
    subject: str
    """RFC 4514 text."""
    not_before: datetime
    not_after: datetime
    tbs: bytes
    der: bytes | None
    """None until issued."""
    fingerprint: str | None
    """SHA-256 over `der`, lowercase hex; None until issued."""
    spki_fingerprint: str
    """SHA-256 over the DER SubjectPublicKeyInfo, lowercase hex."""
    requester: str
    reserved_at: datetime
    issued_at: datetime | None
    revoked_at: datetime | None
    reason: RevocationReason | None


@dataclass(frozen=True, slots=True)
class CertificateStatus:
    """The part that OCSP and certificate login need."""

    state: CertificateState
    not_after: datetime
    revoked_at: datetime | None
    reason: RevocationReason | None


@dataclass(frozen=True, slots=True)
class RevokedEntry:
    """One line of a CRL."""

    serial: SerialNumber
    revoked_at: datetime
    reason: RevocationReason
    not_after: datetime


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list, and the cursor of the next one (None: the end)."""

    items: Sequence[CertificateRecord]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class CertificateQuery:
    """What to look for; None means any. `text` is found anywhere in the subject."""

    issuer: str | None = None
    state: CertificateState | None = None
    profile: str | None = None
    text: str | None = None
    spki_fingerprint: str | None = None
    expires_before: datetime | None = None


class StatusSource(Protocol):
    """What `crl` needs of the authority, and nothing more."""

    def find_status(self, issuer: str, serial: int) -> CertificateStatus | None:
        """Return the status of a serial we reserved, or None if we never did."""
        ...

    def list_revoked(self, issuer: str) -> Iterator[RevokedEntry]:
        """Return what is revoked or held, in the order of revocation."""
        ...

    def revocation_position(self, issuer: str) -> int:
        """Return a number that grows with every revoke, hold and release of this issuer."""
        ...
