"""What follows from a replacement or a review: written down first, done after, repeated until done.

Re-issue revokes the old certificate as soon as it is reviewed: its medium is lost. Re-key revokes
it when the new one is issued. Renewing a pair moves the old encryption key to history. Rejecting
a freeze that came first ends the hold.
"""

from __future__ import annotations

import logging
from typing import Final

from ca.dual import PairService
from ca.operations import Operation
from ca.reasons import RevocationReason
from ca.requests import EnrollmentRecord, RequestState, RequestStore
from ca.revocation import RevocationService
from ca.store import CertificateRecord, CertificateState, CertificateStore
from core.errors import TrustError

log = logging.getLogger(__name__)

_AT_ONCE: Final = 100


class Settlement:
    """Does what is due. Everything in it may be repeated."""

    def __init__(
        self,
        store: RequestStore,
        *,
        certificates: CertificateStore,
        revocation: RevocationService,
        pairs: PairService,
    ) -> None:
        self._store = store
        self._certificates = certificates
        self._revocation = revocation
        self._pairs = pairs

    def settle(self, record: EnrollmentRecord) -> None:
        """Do what is due for one request. A failure is left to `settle_due`."""
        if not is_due(record):
            return
        try:
            self._act(record)
            self._store.clear_follow_up(record.id)
        except TrustError:
            log.exception("it will be tried again", extra={"request": record.id})

    def settle_due(self) -> int:
        """Do everything that is due; return how much there was."""
        due = self._store.list_due(limit=_AT_ONCE)
        for record in due:
            self.settle(record)
        return len(due)

    def _act(self, record: EnrollmentRecord) -> None:
        target = record.target
        if target is None:
            return
        old = self._certificates.find_certificate(target.issuer, target.serial)
        if old is None:
            return
        actor = record.decided_by or record.requester
        match record.follow_up:
            case Operation.REISSUE | Operation.REKEY:
                self._revoke(old, record.reason or RevocationReason.SUPERSEDED, actor)
            case Operation.RENEW if old.request_id is not None:
                self._pairs.retire_key(old.request_id)
            case Operation.UNFREEZE if old.state is CertificateState.HELD:
                self._revocation.release(old.issuer, old.serial, actor=actor)
            case _:
                pass

    def _revoke(self, old: CertificateRecord, reason: RevocationReason, actor: str) -> None:
        if old.state is not CertificateState.REVOKED:
            self._revocation.revoke(old.issuer, old.serial, reason, actor=actor)


def is_due(record: EnrollmentRecord) -> bool:
    """Whether the time of the follow-up has come."""
    match record.follow_up:
        case None:
            return False
        case Operation.UNFREEZE:
            return True
        case Operation.REISSUE:
            return record.state not in (RequestState.PENDING, RequestState.REJECTED)
        case _:
            return record.state is RequestState.ISSUED
