"""The whole history of a certificate: who asked, reviewed and made it, and all that followed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from ca.dual import PairService
from ca.likeness import signing_half
from ca.reasons import RevocationReason
from ca.requests import (
    EnrollmentRecord,
    RequestStore,
    Target,
    encryption_request_id,
    is_encryption_request,
)
from ca.serials import to_hex
from ca.store import CertificateQuery, CertificateRecord, CertificateState, CertificateStore
from core.errors import NotFound, Unavailable
from keystore.escrow.store import Recovery

_GENERATIONS: Final = 100
"""So many replacements are followed each way; a hundred years of yearly renewals."""


@dataclass(frozen=True, slots=True)
class StatusEvent:
    """One revoke, hold or release, from the append-only log."""

    state: CertificateState
    reason: RevocationReason | None
    at: datetime
    actor: str


@dataclass(frozen=True, slots=True)
class SentNotice:
    """One notice of expiry."""

    days: int
    channel: str
    state: str
    sent_at: datetime | None


class HistoryStore(Protocol):
    """Finds what was written about one certificate, oldest first."""

    def list_events(self, record: CertificateRecord) -> Sequence[StatusEvent]: ...

    def list_notices(self, record: CertificateRecord) -> Sequence[SentNotice]: ...


@dataclass(frozen=True, slots=True)
class History:
    """Everything that is known about one certificate."""

    certificate: CertificateRecord
    partner: CertificateRecord | None
    """The encryption certificate of its pair."""
    request: EnrollmentRecord | None
    """Where it comes from; None for what the service issued to itself or in a batch."""
    before: Sequence[CertificateRecord]
    """What it replaced, and what that replaced: newest first."""
    after: Sequence[CertificateRecord]
    """What replaced it, and so on: oldest first."""
    requests: Sequence[EnrollmentRecord]
    """Acts that were asked for on it."""
    events: Sequence[StatusEvent]
    notices: Sequence[SentNotice]
    recoveries: Sequence[Recovery] | None
    """None: the key management centre cannot be reached."""


class HistoryService:
    """Puts a history together."""

    def __init__(
        self,
        store: HistoryStore,
        *,
        certificates: CertificateStore,
        requests: RequestStore,
        pairs: PairService,
    ) -> None:
        self._store = store
        self._certificates = certificates
        self._requests = requests
        self._pairs = pairs

    def of(self, issuer: str, serial: int) -> History:
        """Return the history of a certificate, or of the pair it is half of. Raises `NotFound`."""
        found = self._certificates.find_certificate(issuer, serial)
        if found is None:
            raise NotFound(f"{issuer} has no certificate with serial {to_hex(serial)}")
        record = signing_half(self._certificates, found)
        request_id = record.request_id
        return History(
            certificate=record,
            partner=self.partner(record),
            request=None if request_id is None else self._requests.find_request(request_id),
            before=self.before(record),
            after=self.after(record),
            requests=self._requests.list_for_target(Target(record.issuer, record.serial)),
            events=self._store.list_events(record),
            notices=self._store.list_notices(record),
            recoveries=self._recoveries(record),
        )

    def partner(self, record: CertificateRecord) -> CertificateRecord | None:
        """Return the encryption certificate of a signing one, if they are a pair."""
        if record.request_id is None or is_encryption_request(record.request_id):
            return None
        return self._certificates.find_by_request(encryption_request_id(record.request_id))

    def of_same_holder(self, own: CertificateRecord) -> Sequence[CertificateRecord]:
        """Return what belongs to the same subject; without one, what was replaced each way.

        Newest first. Never by the name alone: two people may have the same.
        """
        if own.subject_id is not None:
            query = CertificateQuery(subject_id=own.subject_id)
            return self._certificates.search_certificates(query, limit=_GENERATIONS).items
        chain = (*self.after(own)[::-1], own, *self.before(own))
        found: list[CertificateRecord] = []
        for one in chain:
            other = self.partner(one)
            found += [one] if other is None else [one, other]
        return found

    def recoveries(self, record: CertificateRecord) -> Sequence[Recovery]:
        """Return every recovery of the encryption key of a pair. Raises `Unavailable`."""
        request_id = signing_half(self._certificates, record).request_id
        return () if request_id is None else self._pairs.list_recoveries(request_id)

    def before(self, record: CertificateRecord) -> Sequence[CertificateRecord]:
        """Return what it replaced, newest first."""
        found: list[CertificateRecord] = []
        while len(found) < _GENERATIONS and record.request_id is not None:
            request = self._requests.find_request(record.request_id)
            if request is None or request.replaces is None or request.target is None:
                break
            target = request.target
            older = self._certificates.find_certificate(target.issuer, target.serial)
            if older is None:
                break
            found.append(record := older)
        return found

    def after(self, record: CertificateRecord) -> Sequence[CertificateRecord]:
        """Return what replaced it, oldest first."""
        found: list[CertificateRecord] = []
        while len(found) < _GENERATIONS:
            request = self._requests.find_replacing(Target(record.issuer, record.serial))
            if request is None:
                break
            # By the request: a later generation of the issuer may have made it.
            newer = self._certificates.find_by_request(request.id)
            if newer is None:
                break
            found.append(record := newer)
        return found

    def _recoveries(self, record: CertificateRecord) -> Sequence[Recovery] | None:
        try:
            return self.recoveries(record)
        except Unavailable:
            return None
