"""The registration authority: entry, review, make. Exactly one certificate a request.

Submitting checks everything that issuing will check, so that what waits for review can be
issued. Idempotency keys (docs/decisions/0017): the claim and the request are one transaction.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from ca.contents import IssuanceRequest
from ca.desk import IssuingDesk
from ca.dual import PairService
from ca.issuer import Issuer
from ca.issuing import Group
from ca.operations import ReviewRules, ReviewsOfProfiles
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
from core.audit import AuditLog, Detail, Event
from core.clock import Clock
from core.errors import Conflict, Malformed, NotFound
from core.gathering import Gathering
from core.transaction import Transactions

_KEY: Final = re.compile(r"[!-~]{1,128}")
_RESUME_AFTER: Final = timedelta(seconds=30)
"""An approval older than this without a certificate was left by a crash: it may be repeated."""
_POLL_SECONDS: Final = 0.05
_POLLS: Final = 400
_S = RequestState


@dataclass(frozen=True, slots=True)
class Idempotency:
    """What makes two submissions the same one."""

    key: str
    body_hash: str
    """SHA-256 of the body, lowercase hex."""


_Entered = tuple[EnrollmentRecord, Idempotency | None]


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
        separate_approver: bool = False,
        blocked_keys: Container[str] = frozenset(),
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self.profiles = profiles
        self.issuers = issuers
        self._requests = requests
        self._transactions = transactions
        self._audit = audit
        self._clock = clock
        self._separate_approver = separate_approver
        self._wait = wait
        self._entering = Gathering(self._remember)
        self._desk = IssuingDesk(
            issuers, store=certificates, transactions=transactions, audit=audit, clock=clock
        )
        self._submission = Submission(
            profiles=profiles,
            issuers=issuers,
            reviews=reviews or ReviewsOfProfiles(profiles),
            pairs=pairs,
            blocked_keys=blocked_keys,
            clock=clock,
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
            if _KEY.fullmatch(idempotency.key) is None:
                raise Malformed("Idempotency-Key is 1 to 128 printable ASCII characters")
            known = self._requests.find_claim(entry.request.requester, idempotency.key)
            if known is not None:
                return self._replay(known, idempotency)
        record = self._submission.record(entry)
        claim = self._entering.ask((record, idempotency))
        if idempotency is not None and claim.request_id != record.id:
            return self._replay(claim, idempotency)
        return self._issue(record) if record.state is _S.APPROVED else record

    def approve(self, request_id: str, *, actor: str) -> EnrollmentRecord:
        """Approve, and issue unless another step comes first.

        Of many callers at once one issues; the others get `Conflict`. Also finishes what a crash
        left: an approval without a certificate, after 30 seconds.
        """
        record = self.get(request_id)
        if record.state is _S.ISSUED:
            return record
        check_reviewer(record, actor, separate=self._separate_approver)
        state = state_after_review(needs_make=record.needs_make, keyless=record.keyless)
        step = Move(record.id, (_S.PENDING,), state, self._clock.now(), decided_by=actor)
        if state is _S.APPROVED:
            step = replace(step, abandoned_before=step.at - _RESUME_AFTER)
        if not self._move(step, "request.approved", actor=actor):
            raise Conflict(describe(self.get(request_id)))
        return self._issue(self.get(request_id)) if state is _S.APPROVED else self.get(request_id)

    def make(self, request_id: str, *, actor: str, spki: bytes | None = None) -> EnrollmentRecord:
        """Make what was reviewed. `spki`: the key, where the request was entered without one.

        May be repeated, as `approve`. Raises `Forbidden` for the one who reviewed.
        """
        record = self.get(request_id)
        if record.state is _S.ISSUED:
            return record
        check_maker(record, actor, has_key=spki is not None, separate=self._separate_approver)
        now = self._clock.now()
        step = Move(record.id, (_S.REVIEWED,), _S.APPROVED, now, now - _RESUME_AFTER, made_by=actor)
        if spki is not None:
            wanted = with_key(record, spki)
            self._submission.check(wanted, profile=record.profile, issuer=record.issuer)
            step = replace(step, content=content_of(wanted))
        if not self._move(step, "request.made", actor=actor):
            raise Conflict(describe(self.get(request_id)))
        return self._issue(self.get(request_id))

    def reject(self, request_id: str, *, actor: str, reason: str) -> EnrollmentRecord:
        """Reject what is not made yet, with a reason its requester can read."""
        step = Move(
            self.get(request_id).id,
            (_S.PENDING, _S.REVIEWED, _S.AWAITING_PICKUP),
            _S.REJECTED,
            self._clock.now(),
            decided_by=actor,
            comment=reason,
        )
        if not self._move(step, "request.rejected", actor=actor):
            raise Conflict(describe(self.get(request_id)))
        return self.get(request_id)

    def get(self, request_id: str) -> EnrollmentRecord:
        """Raises `NotFound`."""
        record = self._requests.find_request(request_id)
        if record is None:
            raise NotFound(f"there is no request {request_id}")
        return record

    def list_requests(
        self,
        *,
        state: RequestState | None = None,
        scope: frozenset[str] | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> RequestPage:
        """Return one page, newest first. `scope`: tops of the subtrees to look in."""
        return self._requests.list_requests(state=state, scope=scope, cursor=cursor, limit=limit)

    def _remember(self, entered: Sequence[_Entered]) -> Sequence[Claim | Exception]:
        """Remember those of several callers in one transaction, or one by one if one conflicts."""
        try:
            return self._remember_together(entered)
        except Conflict as error:
            if len(entered) == 1:
                return (error,)
        return [outcome for one in entered for outcome in self._remember((one,))]

    def _remember_together(self, entered: Sequence[_Entered]) -> Sequence[Claim]:
        with self._transactions.transaction():
            claims = [self._claim(record, idempotency) for record, idempotency in entered]
            fresh = [
                record
                for (record, _), claim in zip(entered, claims, strict=True)
                if claim.request_id == record.id
            ]
            self._requests.add_requests(fresh)
            self._audit.record_all(
                [Event("request.submitted", one.requester, _detail(one)) for one in fresh]
            )
        return claims

    def _claim(self, record: EnrollmentRecord, idempotency: Idempotency | None) -> Claim:
        wanted = Claim(record.id, "" if idempotency is None else idempotency.body_hash)
        if idempotency is None:
            return wanted
        return self._requests.claim(
            record.requester, idempotency.key, wanted, now=record.created_at
        )

    def _replay(self, claim: Claim, idempotency: Idempotency) -> EnrollmentRecord:
        if claim.body_hash != idempotency.body_hash:
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
            if self._move(step, "request.approved", actor=actor):
                self._issue(record)
                return self.get(record.id)
            self._wait(_POLL_SECONDS)
            record = self.get(claim.request_id)
        return record

    def _move(self, step: Move, action: str, *, actor: str) -> bool:
        with self._transactions.transaction():
            moved = self._requests.move(step)
            if moved:
                self._audit.record(action, actor=actor, detail={"request": step.request_id})
        return moved

    def _issue(self, record: EnrollmentRecord) -> EnrollmentRecord:
        request, profile = request_of(record), self.profiles[record.profile]
        try:
            group: Group = ((request, profile),)
            if profile.encryption_profile is not None:
                group = self._submission.pair_service().begin(request, profile=profile)
            issued = self._desk.issue(group, issuer=record.issuer)
        except Exception:
            # It failed and said so; a crash does not come here and is found by its age.
            self._requests.reopen(record.id, _S.REVIEWED if record.needs_make else _S.PENDING)
            raise
        (signing, *_) = issued
        return replace(record, state=_S.ISSUED, serial=signing.serial, issued_by=signing.issuer)


def _detail(record: EnrollmentRecord) -> Detail:
    return {
        "request": record.id,
        "operation": record.operation,
        "profile": record.profile,
        "issuer": record.issuer,
        "target": None if record.target is None else record.target.name,
    }
