"""Re-issue, re-key and renew (补发、换发、延期): a certificate in the place of another.

Subject, names, identity and profile stay; docs/requests.md says what each changes. The old
certificate is dealt with afterwards (`ca.settlement`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ca.enrollment import EnrollmentService
from ca.idempotency import Idempotency
from ca.likeness import request_like, signing_half, spki_of
from ca.operations import Operation
from ca.profiles import CertificateProfile
from ca.reasons import RevocationReason
from ca.requests import EnrollmentRecord, RequestStore, Target
from ca.serials import to_hex
from ca.store import CertificateRecord, CertificateState, CertificateStore
from ca.submission import Entry
from core.clock import Clock
from core.errors import Conflict, NotFound, Refused

_S = CertificateState
_LOSS: Final = (RevocationReason.SUPERSEDED, RevocationReason.KEY_COMPROMISE)
"""Why the old certificate of a re-issue is revoked; also the end that a re-issue may follow."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """What is asked for in the place of a certificate."""

    operation: Operation
    spki: bytes = b""
    """The new key; empty: it comes later, or the old one is kept (renew)."""
    validity_days: int | None = None
    reason: RevocationReason = RevocationReason.SUPERSEDED
    """Of the old certificate; of a re-issue only."""
    temporary_key: bytes | None = None
    """Of a double request (`keystore.cfca`)."""
    owner: str | None = None
    """The user who asks for it in the portal (`ca.submission.Entry`)."""


class ReplacementService:
    """Enters requests for certificates in the place of others."""

    def __init__(
        self,
        enrollment: EnrollmentService,
        *,
        profiles: Mapping[str, CertificateProfile],
        certificates: CertificateStore,
        requests: RequestStore,
        clock: Clock,
    ) -> None:
        self._enrollment = enrollment
        self._profiles = profiles
        self._certificates = certificates
        self._requests = requests
        self._clock = clock

    def replace(
        self,
        issuer: str,
        serial: int,
        wanted: Replacement,
        *,
        actor: str,
        idempotency: Idempotency | None = None,
    ) -> EnrollmentRecord:
        """Enter a request. Either half stands for a pair: both are replaced.

        With an idempotency key that is known it is the request there is, whatever became of the
        old certificate meanwhile. Raises `NotFound`, `Refused` outside of the renewal window, and
        `Conflict` for a state that does not allow it or a certificate that is being replaced
        already.
        """
        if idempotency is not None:
            known = self._enrollment.find_entered(actor, idempotency)
            if known is not None:
                return known
        old = self.find(issuer, serial)
        profile = self._profiles[old.profile]
        _check_state(old, wanted)
        if wanted.operation is Operation.RENEW:
            self.check_window(old)
            spki = spki_of(old)
        else:
            self._check_not_long_over(old, profile)
            spki = wanted.spki
            if spki == spki_of(old):
                raise Refused(f"{wanted.operation} takes a new key, and this is the old one")
        request = request_like(
            old, profile, spki=spki, requester=actor, validity_days=wanted.validity_days
        )
        entry = Entry(
            dataclasses.replace(request, temporary_key=wanted.temporary_key),
            old.profile,
            old.issuer,
            wanted.operation,
            Target(old.issuer, old.serial),
            wanted.reason if wanted.operation is Operation.REISSUE else None,
            wanted.owner,
        )
        return self._enrollment.enter(entry, idempotency=idempotency)

    def find(self, issuer: str, serial: int) -> CertificateRecord:
        """Return the certificate, or the signing half of its pair. Raises `NotFound`."""
        found = self._certificates.find_certificate(issuer, serial)
        if found is None:
            raise NotFound(f"{issuer} has no certificate with serial {to_hex(serial)}")
        return signing_half(self._certificates, found)

    def find_successor(self, old: CertificateRecord) -> EnrollmentRecord | None:
        """Return the request that gives a certificate in the place of `old`, if there is one."""
        return self._requests.find_replacing(Target(old.issuer, old.serial))

    def check_window(self, old: CertificateRecord) -> None:
        """Raises `Refused` outside of the time in which the profile renews."""
        profile, opens = self._profiles[old.profile], self.window_opens(old)
        if self._clock.now() < opens:
            raise Refused(
                f"it can be renewed from {opens:%Y-%m-%d} on, {profile.renewal_window_days} days "
                "before its end (renewal_window_days of the profile)"
            )
        self._check_not_long_over(old, profile)

    def window_opens(self, old: CertificateRecord) -> datetime:
        """Return from when on the profile renews a certificate."""
        return old.not_after - timedelta(days=self._profiles[old.profile].renewal_window_days)

    def _check_not_long_over(self, old: CertificateRecord, profile: CertificateProfile) -> None:
        until = old.not_after + timedelta(days=profile.renewal_grace_days)
        if self._clock.now() > until:
            raise Refused(
                f"it ended on {old.not_after:%Y-%m-%d}, and could be replaced until "
                f"{until:%Y-%m-%d} (renewal_grace_days of the profile): apply for a new one"
            )


def _check_state(old: CertificateRecord, wanted: Replacement) -> None:
    if wanted.operation is not Operation.REISSUE:
        if old.state is not _S.ISSUED:
            raise Conflict(f"the certificate is {old.state}: only a valid one can be replaced so")
        return
    if wanted.reason not in _LOSS:
        raise Refused(f"the old certificate of a re-issue is revoked as {' or '.join(_LOSS)}")
    revoked_for_loss = old.state is _S.REVOKED and old.reason in _LOSS
    if old.state not in (_S.ISSUED, _S.HELD) and not revoked_for_loss:
        raise Conflict(f"the certificate is {old.state} ({old.reason}): apply for a new one")
