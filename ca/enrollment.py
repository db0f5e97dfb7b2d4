"""The registration authority: submit, approve, reject. Exactly one certificate an approved request.

Submitting checks everything that issuing will check, so that what waits for approval can be
issued. Idempotency keys (docs/decisions/0017): the claim and the request are one transaction.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from ca.contents import IssuanceRequest
from ca.dual import PairService
from ca.issuance import issue_certificate
from ca.issuer import Issuer
from ca.keycheck import check_key
from ca.profiles import CertificateProfile
from ca.requests import (
    Claim,
    EnrollmentRecord,
    RequestPage,
    RequestState,
    RequestStore,
    content_of,
    request_of,
)
from ca.serials import random_serial
from ca.store import CertificateStore
from core.audit import AuditLog
from core.clock import Clock
from core.errors import Conflict, Forbidden, Malformed, NotFound, ProfileViolation, Unavailable
from core.transaction import Transactions

_KEY: Final = re.compile(r"[!-~]{1,128}")
_RESUME_AFTER: Final = timedelta(seconds=30)
"""An approval older than this without a certificate was left by a crash: it may be repeated."""
_POLL_SECONDS: Final = 0.05
_POLLS: Final = 400


@dataclass(frozen=True, slots=True)
class Idempotency:
    """What makes two submissions the same one."""

    key: str
    body_hash: str
    """SHA-256 of the body, lowercase hex."""


class EnrollmentService:
    """Takes requests and decides about them."""

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
        pairs: PairService | None = None,
        separate_approver: bool = False,
        blocked_keys: Container[str] = frozenset(),
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self.profiles = profiles
        self.issuers = issuers
        self._certificates = certificates
        self._requests = requests
        self._transactions = transactions
        self._audit = audit
        self._clock = clock
        self._pairs = pairs
        self._separate_approver = separate_approver
        self._blocked_keys = blocked_keys
        self._wait = wait

    def submit(
        self,
        request: IssuanceRequest,
        *,
        profile: str,
        issuer: str,
        idempotency: Idempotency | None = None,
    ) -> EnrollmentRecord:
        """Check and remember a request; issue at once when the profile needs no approval.

        The same key and body again give the same request (and certificate); the same key with
        another body raises `Conflict`. Raises `Refused` for what would not be issued: then
        nothing is remembered, the key neither.
        """
        if idempotency is not None:
            if _KEY.fullmatch(idempotency.key) is None:
                raise Malformed("Idempotency-Key is 1 to 128 printable ASCII characters")
            known = self._requests.find_claim(request.requester, idempotency.key)
            if known is not None:
                return self._replay(known, idempotency)
        record = self._check(request, profile, issuer)
        with self._transactions.transaction():
            claim = self._remember(record, idempotency)
        if idempotency is not None and claim.request_id != record.id:
            return self._replay(claim, idempotency)
        return record if record.needs_approval else self._issue(record)

    def approve(self, request_id: str, *, actor: str) -> EnrollmentRecord:
        """Approve and issue. Of many callers at once one issues; the others get `Conflict`.

        Also finishes what a crash left: an approval without a certificate, after 30 seconds.
        """
        record = self.get(request_id)
        if record.state is RequestState.ISSUED:
            return record
        if self._separate_approver and record.requester == actor:
            raise Forbidden("requester and approver must be two people (ca.separate_approver)")
        if not self._decide(record, RequestState.APPROVED, actor, None):
            raise Conflict(_undecidable(self.get(request_id)))
        return self._issue(record)

    def reject(self, request_id: str, *, actor: str, reason: str) -> EnrollmentRecord:
        """Reject a pending request, with a reason its requester can read."""
        record = self.get(request_id)
        if record.state is not RequestState.PENDING or not self._decide(
            record, RequestState.REJECTED, actor, reason
        ):
            raise Conflict(_undecidable(self.get(request_id)))
        return self.get(request_id)

    def get(self, request_id: str) -> EnrollmentRecord:
        """Raises `NotFound`."""
        record = self._requests.find_request(request_id)
        if record is None:
            raise NotFound(f"there is no request {request_id}")
        return record

    def list_requests(
        self, *, state: RequestState | None = None, cursor: str | None = None, limit: int = 100
    ) -> RequestPage:
        """Return one page, newest first."""
        return self._requests.list_requests(state=state, cursor=cursor, limit=limit)

    def _check(self, request: IssuanceRequest, profile: str, issuer: str) -> EnrollmentRecord:
        if issuer not in self.issuers:
            raise NotFound(f"there is no issuer {issuer}")
        chosen = self.profiles.get(profile)
        if chosen is None:
            raise NotFound(f"there is no profile {profile}")
        if not chosen.requestable:
            raise ProfileViolation(f"profile {profile} is not for requesters")
        check_key(request.spki, blocked=self._blocked_keys)
        # The whole preparation, lint included; its octets are thrown away.
        self.issuers[issuer].prepare(
            request, profile=chosen, serial=random_serial(), now=self._clock.now()
        )
        if chosen.encryption_profile is not None:
            self._pair_service().check(request, profile=chosen, issuer=self.issuers[issuer])
        now = self._clock.now()
        direct = not chosen.needs_approval
        return EnrollmentRecord(
            id=secrets.token_hex(16),
            state=RequestState.APPROVED if direct else RequestState.PENDING,
            issuer=issuer,
            profile=profile,
            content=content_of(request),
            needs_approval=chosen.needs_approval,
            requester=request.requester,
            created_at=now,
            decided_by=request.requester if direct else None,
            decided_at=now if direct else None,
        )

    def _remember(self, record: EnrollmentRecord, idempotency: Idempotency | None) -> Claim:
        wanted = Claim(record.id, "" if idempotency is None else idempotency.body_hash)
        if idempotency is not None:
            claim = self._requests.claim(
                record.requester, idempotency.key, wanted, now=record.created_at
            )
            if claim != wanted:
                return claim
        self._requests.add_request(record)
        self._audit.record(
            "request.submitted",
            actor=record.requester,
            detail={"request": record.id, "profile": record.profile, "issuer": record.issuer},
        )
        return wanted

    def _replay(self, claim: Claim, idempotency: Idempotency) -> EnrollmentRecord:
        if claim.body_hash != idempotency.body_hash:
            raise Conflict("this Idempotency-Key was used with another request body")
        record = self.get(claim.request_id)
        if record.needs_approval:
            return record
        for _ in range(_POLLS):
            if record.state is RequestState.ISSUED:
                return record
            # The first caller crashed, or its signing failed: this one takes over.
            if self._decide(record, RequestState.APPROVED, record.requester, None):
                return self._issue(record)
            self._wait(_POLL_SECONDS)
            record = self.get(claim.request_id)
        return record

    def _decide(
        self, record: EnrollmentRecord, state: RequestState, actor: str, comment: str | None
    ) -> bool:
        now = self._clock.now()
        with self._transactions.transaction():
            decided = self._requests.decide(
                record.id,
                state,
                by=actor,
                comment=comment,
                at=now,
                stale_before=now - _RESUME_AFTER,
            )
            if decided:
                self._audit.record(f"request.{state}", actor=actor, detail={"request": record.id})
        return decided

    def _issue(self, record: EnrollmentRecord) -> EnrollmentRecord:
        request, profile = request_of(record), self.profiles[record.profile]
        issuer = self.issuers[record.issuer]
        try:
            if profile.encryption_profile is not None:
                self._pair_service().issue(request, profile=profile, issuer=issuer)
            else:
                issue_certificate(
                    request,
                    profile=profile,
                    issuer=issuer,
                    store=self._certificates,
                    transactions=self._transactions,
                    audit=self._audit,
                    clock=self._clock,
                )
        except Exception:
            # It failed and said so; a crash does not come here and is found by its age.
            self._requests.reopen(record.id)
            raise
        return self.get(record.id)

    def _pair_service(self) -> PairService:
        if self._pairs is None:
            raise Unavailable("this service has no key management centre: ask for one certificate")
        return self._pairs


def _undecidable(record: EnrollmentRecord) -> str:
    if record.state is RequestState.APPROVED:
        return "the request is being issued; if that was interrupted, approve again in 30 seconds"
    return f"the request is {record.state}"
