"""The registration authority: entry, review, make. Exactly one certificate a request.

Submitting checks everything that issuing will check, so that what waits for review can be
issued. Idempotency keys (docs/decisions/0017): the claim and the request are one transaction.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Mapping
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from ca.contents import IssuanceRequest
from ca.dual import PairService
from ca.execution import Act, Execution
from ca.idempotency import Idempotency
from ca.issuer import Issuer
from ca.ledger import Entered, KeyTaken, RequestLedger
from ca.operations import Operation, ReviewRules, ReviewsOfProfiles
from ca.pickup import PickupOffers
from ca.pickup_codes import Codes
from ca.profiles import CertificateProfile
from ca.requests import (
    Claim,
    EnrollmentRecord,
    Move,
    RequestPage,
    RequestState,
    RequestStore,
    content_of,
    request_of,
    with_key,
)
from ca.steps import check_maker, check_reviewer, describe
from ca.store import CertificateStore
from ca.submission import Entry, Submission, state_after_review
from core.audit import AuditLog
from core.clock import Clock
from core.errors import Conflict, Refused
from core.transaction import Transactions

_RESUME_AFTER: Final = timedelta(seconds=30)
"""An approval older than this without a certificate was left by a crash: it may be repeated."""
_POLL_SECONDS: Final = 0.05
_POLLS: Final = 400
_S = RequestState


class EnrollmentService:
    """Takes requests through their steps."""

    def __init__(
        self,
        *,
        profiles: Mapping[str, CertificateProfile],
        issuers: Mapping[str, Issuer],
        certificates: CertificateStore,
        requests: RequestStore,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
        reviews: ReviewRules | None = None,
        pairs: PairService | None = None,
        pickups: PickupOffers | None = None,
        acts: Mapping[Operation, Act] = MappingProxyType({}),
        separate_approver: bool = False,
        blocked_keys: Container[str] = frozenset(),
        settle: Callable[[EnrollmentRecord], None] = lambda _: None,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self.profiles = profiles
        self.issuers = issuers
        self._requests = requests
        self._transactions = transactions
        self._ledger = RequestLedger(requests, transactions=transactions, audit=audit)
        self._clock = clock
        self._pickups = pickups
        self._separate_approver = separate_approver
        self._settle = settle
        self._wait = wait
        self._submission = Submission(
            profiles=profiles,
            issuers=issuers,
            reviews=reviews or ReviewsOfProfiles(profiles),
            pairs=pairs,
            blocked_keys=blocked_keys,
            clock=clock,
        )
        self._execution = Execution(
            self._submission,
            certificates=certificates,
            requests=requests,
            transactions=transactions,
            audit=audit,
            clock=clock,
            ledger=self._ledger,
            acts=acts,
        )

    def submit(
        self,
        request: IssuanceRequest,
        *,
        profile: str,
        issuer: str,
        idempotency: Idempotency | None = None,
    ) -> EnrollmentRecord:
        """Check and remember a request for a new certificate; issue at once if nobody is asked."""
        return self.enter(Entry(request, profile, issuer), idempotency=idempotency)

    def enter(self, entry: Entry, *, idempotency: Idempotency | None = None) -> EnrollmentRecord:
        """Check and remember what is entered; issue at once when no other step is needed.

        The same key and body again give the same request (and certificate); the same key with
        another body raises `Conflict`. Raises `Refused` for what would not be issued: then
        nothing is remembered, the key neither.
        """
        if idempotency is not None:
            known = self.find_entered(entry.request.requester, idempotency)
            if known is not None:
                return known
        record, prepared = self._submission.record(entry)
        entered = Entered(record)
        if idempotency is not None:
            entered = Entered(record, idempotency.key, idempotency.body_hash)
        try:
            if prepared is not None:
                return self._execution.enter(entered, prepared)
            with self._transactions.transaction():
                self._ledger.add(entered)
                codes = self._offer(record.id, record.state, record.requester)
        except KeyTaken as taken:
            return self._replay(taken.claim, entered.body_hash)
        return self._go_on(record, actor=record.requester, codes=codes)

    def find_entered(self, requester: str, idempotency: Idempotency) -> EnrollmentRecord | None:
        """Return what was entered under this key, as far as it has come; None: nothing was.

        Raises `Conflict` for another body, and `Malformed` for what is no key.
        """
        idempotency.check()
        known = self._requests.find_claim(requester, idempotency.key)
        return None if known is None else self._replay(known, idempotency.body_hash)

    def is_claimed(self, requester: str, key: str) -> bool:
        """Whether something was entered under an idempotency key."""
        return self._requests.find_claim(requester, key) is not None

    def approve(self, request_id: str, *, actor: str) -> EnrollmentRecord:
        """Approve, and issue unless another step comes first.

        Of many callers at once one issues; the others get `Conflict`. Also finishes what a crash
        left: an approval without a certificate, after 30 seconds.
        """
        record = self.get(request_id)
        if record.state in (_S.ISSUED, _S.DONE):
            return record
        check_reviewer(record, actor, separate=self._separate_approver)
        state = state_after_review(needs_make=record.needs_make, keyless=record.keyless)
        step = Move(record.id, (_S.PENDING,), state, self._clock.now(), decided_by=actor)
        if state is _S.APPROVED:
            step = replace(step, abandoned_before=step.at - _RESUME_AFTER)
        with self._transactions.transaction():
            moved = self._ledger.move(step, "request.approved", actor=actor)
            codes = self._offer(record.id, state, actor) if moved else None
        if not moved:
            raise Conflict(describe(self.get(request_id)))
        return self._go_on(self.get(request_id), actor=actor, codes=codes)

    def make(
        self,
        request_id: str,
        *,
        actor: str,
        spki: bytes | None = None,
        temporary_key: bytes | None = None,
    ) -> EnrollmentRecord:
        """Make what was reviewed. `spki`: the key, where the request was entered without one.

        `temporary_key`: of a double request (`keystore.cfca`).

        May be repeated, as `approve`. Raises `Forbidden` for the one who reviewed.
        """
        record = self.get(request_id)
        if record.state is _S.ISSUED:
            return record
        check_maker(record, actor, has_key=spki is not None, separate=self._separate_approver)
        now = self._clock.now()
        step = Move(record.id, (_S.REVIEWED,), _S.APPROVED, now, now - _RESUME_AFTER, made_by=actor)
        if spki is not None:
            wanted = with_key(record, spki, temporary_key)
            self._submission.check(wanted, profile=record.profile, issuer=record.issuer)
            step = replace(step, content=content_of(wanted))
        if not self._ledger.move(step, "request.made", actor=actor):
            raise Conflict(describe(self.get(request_id)))
        return self._go_on(self.get(request_id), actor=actor)

    def taken_key(self, request_id: str) -> bytes:
        """Return the key that a request has; empty while it waits for one. Raises `NotFound`."""
        return request_of(self.get(request_id)).spki

    def take_key(
        self, request_id: str, *, spki: bytes, actor: str, temporary_key: bytes | None = None
    ) -> EnrollmentRecord:
        """Issue what waits for its pick-up, for the key that its subscriber has brought.

        May be repeated with the same key. Raises `Conflict` for another one.
        """
        record = self.get(request_id)
        wanted = with_key(record, spki, temporary_key)
        if record.state is _S.ISSUED:
            return record
        self._submission.check(wanted, profile=record.profile, issuer=record.issuer)
        now = self._clock.now()
        step = Move(
            record.id,
            (_S.AWAITING_PICKUP,),
            _S.APPROVED,
            now,
            now - _RESUME_AFTER,
            made_by=actor,
            content=content_of(wanted),
        )
        if not self._ledger.move(step, "pickup.collected", actor=actor):
            raise Conflict(describe(self.get(request_id)))
        return self._go_on(self.get(request_id), actor=actor)

    def reject(self, request_id: str, *, actor: str, reason: str) -> EnrollmentRecord:
        """Reject what is not made yet, with a reason its requester can read.

        What was frozen before its review is released.
        """
        record = self.get(request_id)
        step = Move(
            record.id,
            (_S.PENDING, _S.REVIEWED, _S.AWAITING_PICKUP),
            _S.REJECTED,
            self._clock.now(),
            decided_by=actor,
            comment=reason,
            follow_up=Operation.UNFREEZE if record.provisional else None,
        )
        if not self._ledger.move(step, "request.rejected", actor=actor):
            raise Conflict(describe(self.get(request_id)))
        return self._go_on(self.get(request_id), actor=actor)

    def get(self, request_id: str) -> EnrollmentRecord:
        """Raises `NotFound`."""
        return self._ledger.get(request_id)

    def list_requests(
        self,
        *,
        state: RequestState | None = None,
        scope: frozenset[str] | None = None,
        cursor: str | None = None,
        limit: int = 100,
        sort: str | None = None,
    ) -> RequestPage:
        """Return one page, newest first. `scope`: tops of the subtrees to look in."""
        return self._requests.list_requests(
            state=state, scope=scope, cursor=cursor, limit=limit, sort=sort
        )

    def _replay(self, claim: Claim, body_hash: str) -> EnrollmentRecord:
        if claim.body_hash != body_hash:
            raise Conflict("this Idempotency-Key was used with another request body")
        record = self.get(claim.request_id)
        if record.needs_approval or record.needs_make or record.keyless:
            return record
        for _ in range(_POLLS):
            if record.state is _S.ISSUED:
                return record
            # The first caller crashed, or its signing failed: this one takes over.
            now, actor = self._clock.now(), record.requester
            step = Move(record.id, (_S.PENDING,), _S.APPROVED, now, now - _RESUME_AFTER, actor)
            if self._ledger.move(step, "request.approved", actor=actor):
                return self._go_on(self.get(record.id), actor=actor)
            self._wait(_POLL_SECONDS)
            record = self.get(claim.request_id)
        return record

    def _go_on(
        self, record: EnrollmentRecord, *, actor: str, codes: Codes | None = None
    ) -> EnrollmentRecord:
        """Carry out what nobody has to be waited for, and what follows from it."""
        self._settle(record)
        if record.state is _S.APPROVED:
            record = self._execution.run(record, actor=actor)
            self._settle(record)
        return record if codes is None else replace(record, codes=codes)

    def _offer(self, request_id: str, state: RequestState, actor: str) -> Codes | None:
        if state is not _S.AWAITING_PICKUP:
            return None
        if self._pickups is None:
            raise Refused("this service offers no pick-up: enter the request with its CSR")
        return self._pickups.offer(request_id, actor=actor)
