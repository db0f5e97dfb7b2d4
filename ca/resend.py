"""Sending the codes of a pick-up again (两码重发)."""

from __future__ import annotations

import secrets
from dataclasses import replace

from ca.ledger import Entered, RequestLedger
from ca.operations import Operation, ReviewRules
from ca.pickup import PickupOffers
from ca.pickup_codes import Codes
from ca.requests import EnrollmentRecord, RequestState
from core.clock import Clock
from core.errors import Conflict
from core.transaction import Transactions


class PickupResend:
    """Makes new codes at once, or a request for them where the rules want a review."""

    def __init__(
        self,
        offers: PickupOffers,
        ledger: RequestLedger,
        *,
        reviews: ReviewRules,
        transactions: Transactions,
        clock: Clock,
    ) -> None:
        self._offers = offers
        self._ledger = ledger
        self._reviews = reviews
        self._transactions = transactions
        self._clock = clock

    def resend(self, request_id: str, *, actor: str) -> EnrollmentRecord:
        """Return the request with its new codes, or the request that asks for them.

        Raises `Conflict` when it does not wait for a pick-up.
        """
        waiting = self._waiting(request_id)
        rule = self._reviews.needed(
            Operation.PICKUP_RESEND, waiting.profile, waiting.organisation_id
        )
        if not rule.review:
            return replace(waiting, codes=self._offer(request_id, actor))
        asked = EnrollmentRecord(
            id=secrets.token_hex(16),
            state=RequestState.PENDING,
            issuer=waiting.issuer,
            profile=waiting.profile,
            content=waiting.content,
            needs_approval=True,
            requester=actor,
            created_at=self._clock.now(),
            operation=Operation.PICKUP_RESEND,
            organisation_id=waiting.organisation_id,
            subject_id=waiting.subject_id,
            target_request=waiting.id,
        )
        self._ledger.add(Entered(asked))
        return asked

    def act(self, record: EnrollmentRecord, actor: str) -> Codes:
        """Carry out a request for new codes (`ca.execution.Act`)."""
        if record.target_request is None:
            raise ValueError(f"request {record.id} names no other request")
        return self._offer(record.target_request, actor)

    def _offer(self, request_id: str, actor: str) -> Codes:
        with self._transactions.transaction():
            self._waiting(request_id)
            return self._offers.offer(request_id, actor=actor)

    def _waiting(self, request_id: str) -> EnrollmentRecord:
        record = self._ledger.get(request_id)
        if record.state is not RequestState.AWAITING_PICKUP:
            raise Conflict(f"the request is {record.state}: it does not wait for a pick-up")
        return record
