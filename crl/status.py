"""Good, revoked or unknown: one answer for OCSP, CRL and certificate login."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from ca.reasons import RevocationReason
from ca.store import CertificateState, CertificateStatus, StatusReader
from core.clock import Clock


class Status(StrEnum):
    """RFC 6960, 2.2."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"
    """The issuer never drew this serial number."""
    WITHHELD = "withheld"
    """Not of the standard: nothing is said. The issuance is not finished or failed, so that we may
    or may not have signed it; or the certificate expired longer ago than the retention."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What we say about one certificate. Equal standings have equal answers."""

    status: Status
    revoked_at: datetime | None = None
    reason: RevocationReason | None = None
    """Both are set when revoked, and only then."""
    since: datetime | None = None
    """When it last changed: no answer may say that it held before. None: it never changed."""
    expired: bool = False
    """Past its not_after, and still answered for."""
    until: datetime | None = field(default=None, compare=False)
    """When it ends by itself, because the certificate is no longer answered for."""


UNKNOWN: Final = Standing(Status.UNKNOWN)
GOOD: Final = Standing(Status.GOOD)
WITHHELD: Final = Standing(Status.WITHHELD)

_LARGEST_SERIAL: Final = (1 << 159) - 1
"""RFC 5280, 4.1.2.2: 20 octets as a positive INTEGER."""


class StatusService:
    """Reads the authoritative status, every time it is asked."""

    def __init__(self, source: StatusReader, *, retention: timedelta, clock: Clock) -> None:
        self._source = source
        self._retention = retention
        self._clock = clock

    def standing(self, issuer: str, serial: int) -> Standing:
        """Return what holds now for a serial of the issuer with this name."""
        if not 0 < serial <= _LARGEST_SERIAL:
            return UNKNOWN
        return self.standing_of(self._source.find_status(issuer, serial))

    def standing_of(self, found: CertificateStatus | None) -> Standing:
        """Return what a status means now; None: it was never issued."""
        if found is None:
            return UNKNOWN
        now, until = self._clock.now(), found.not_after + self._retention
        if until < now:
            return WITHHELD
        return replace(
            _standing_of(found),
            since=found.changed_at,
            expired=found.not_after < now,
            until=until,
        )


def _standing_of(found: CertificateStatus) -> Standing:
    match found.state:
        case CertificateState.ISSUED:
            return GOOD
        case CertificateState.REVOKED:
            return Standing(Status.REVOKED, found.revoked_at, found.reason)
        case CertificateState.HELD:
            return Standing(Status.REVOKED, found.revoked_at, RevocationReason.CERTIFICATE_HOLD)
        case CertificateState.RESERVED | CertificateState.FAILED:
            return WITHHELD
