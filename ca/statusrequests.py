"""Freeze, unfreeze, revoke (冻结、解冻、吊销): at once, or as a request to be reviewed."""

from __future__ import annotations

import secrets
from dataclasses import replace

from ca.contents import IssuanceRequest
from ca.ledger import Entered, RequestLedger
from ca.likeness import signing_half, subject_of
from ca.operations import Operation, ReviewRules
from ca.pickup_codes import Codes
from ca.reasons import RevocationReason
from ca.requests import EnrollmentRecord, RequestState, RequestStore, Target, content_of
from ca.revocation import RevocationService, check_reason
from ca.serials import to_hex
from ca.store import CertificateRecord, CertificateState, CertificateStore
from core.clock import Clock
from core.errors import Conflict, NotFound
from core.transaction import Transactions

_S = CertificateState
_POSSIBLE = {
    Operation.FREEZE: (_S.ISSUED, _S.HELD),
    Operation.UNFREEZE: (_S.HELD, _S.ISSUED),
    Operation.REVOKE: tuple(_S),
}
"""From where each can be asked for; the second one: it is so already, and is answered so."""


class StatusRequests:
    """Changes the status of certificates, or remembers who wants it changed."""

    def __init__(
        self,
        revocation: RevocationService,
        ledger: RequestLedger,
        *,
        certificates: CertificateStore,
        requests: RequestStore,
        reviews: ReviewRules,
        transactions: Transactions,
        clock: Clock,
    ) -> None:
        self._revocation = revocation
        self._ledger = ledger
        self._certificates = certificates
        self._requests = requests
        self._reviews = reviews
        self._transactions = transactions
        self._clock = clock

    def change(
        self,
        operation: Operation,
        issuer: str,
        serial: int,
        *,
        actor: str,
        reason: RevocationReason | None = None,
    ) -> CertificateRecord | EnrollmentRecord:
        """Freeze, unfreeze or revoke; or return the request that waits for a review of that.

        Asking again while it waits gives the same request. Raises `NotFound`, `Refused` or
        `Conflict`.
        """
        found = self._get(issuer, serial)
        # The rules of a pair are those of its signing half: nobody goes around by the other one.
        record = signing_half(self._certificates, found)
        rule = self._reviews.needed(operation, record.profile, record.organisation_id)
        if not rule.review:
            return self._apply(operation, found, reason, actor)
        if record.state not in _POSSIBLE[operation]:
            raise Conflict(f"the certificate is {record.state}: {operation} does not fit")
        if reason is not None:
            check_reason(record, reason)
        waiting = self._waiting(operation, record)
        if waiting is not None:
            return waiting
        asked = self._request(operation, record, actor, reason=reason)
        self._ledger.add(Entered(asked))
        return asked

    def report_lost(self, issuer: str, serial: int, *, actor: str) -> EnrollmentRecord:
        """Freeze at once, whatever the rules say, and ask for the review afterwards (挂失).

        Approving keeps the hold; rejecting ends it.
        """
        record = signing_half(self._certificates, self._get(issuer, serial))
        if record.state not in _POSSIBLE[Operation.FREEZE]:
            raise Conflict(f"the certificate is {record.state}: there is nothing to freeze")
        with self._transactions.transaction():
            asked = self._waiting(Operation.FREEZE, record)
            if asked is None:
                asked = replace(
                    self._request(Operation.FREEZE, record, actor),
                    provisional=record.state is _S.ISSUED,
                )
                self._ledger.add(Entered(asked))
        # After the request: what is frozen is never without somebody who has to look at it.
        self._revocation.hold(record.issuer, record.serial, actor=actor)
        return asked

    def act(self, record: EnrollmentRecord, actor: str) -> Codes | None:
        """Carry out a request that was approved (`ca.execution.Act`)."""
        if record.target is None:
            raise ValueError(f"request {record.id} names no certificate")
        old = self._get(record.target.issuer, record.target.serial)
        self._apply(record.operation, old, record.reason, actor)
        return None

    def _apply(
        self,
        operation: Operation,
        record: CertificateRecord,
        reason: RevocationReason | None,
        actor: str,
    ) -> CertificateRecord:
        issuer, serial = record.issuer, record.serial
        if operation is Operation.FREEZE:
            return self._revocation.hold(issuer, serial, actor=actor)
        if operation is Operation.UNFREEZE:
            return self._revocation.release(issuer, serial, actor=actor)
        why = reason or RevocationReason.UNSPECIFIED
        return self._revocation.revoke(issuer, serial, why, actor=actor)

    def _request(
        self,
        operation: Operation,
        record: CertificateRecord,
        actor: str,
        *,
        reason: RevocationReason | None = None,
    ) -> EnrollmentRecord:
        shown = IssuanceRequest(spki=b"", subject=subject_of(record), requester=actor)
        return EnrollmentRecord(
            id=secrets.token_hex(16),
            state=RequestState.PENDING,
            issuer=record.issuer,
            profile=record.profile,
            content=content_of(shown),
            needs_approval=True,
            requester=actor,
            created_at=self._clock.now(),
            operation=operation,
            organisation_id=record.organisation_id,
            subject_id=record.subject_id,
            target=Target(record.issuer, record.serial),
            reason=reason,
        )

    def _waiting(self, operation: Operation, record: CertificateRecord) -> EnrollmentRecord | None:
        asked = self._requests.list_for_target(Target(record.issuer, record.serial))
        return next(
            (
                one
                for one in asked
                if one.operation is operation and one.state is RequestState.PENDING
            ),
            None,
        )

    def _get(self, issuer: str, serial: int) -> CertificateRecord:
        record = self._certificates.find_certificate(issuer, serial)
        if record is None:
            raise NotFound(f"{issuer} has no certificate with serial {to_hex(serial)}")
        return record
