"""Doing what a request asks for, when nobody is waited for any more."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ca.issuing import Group
from ca.issuing_desk import IssuingDesk
from ca.operations import ISSUING, Operation
from ca.pickup_codes import Codes
from ca.requests import EnrollmentRecord, Move, RequestState, RequestStore, request_of
from ca.store import CertificateStore
from ca.submission import Submission
from core.audit import AuditLog
from core.clock import Clock
from core.transaction import Transactions

Act = Callable[[EnrollmentRecord, str], Codes | None]
"""Does what gives no certificate, on behalf of the actor. May be repeated after a crash."""


class Execution:
    """Issues, or acts; and opens the request again when that failed."""

    def __init__(
        self,
        submission: Submission,
        *,
        certificates: CertificateStore,
        requests: RequestStore,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
        acts: Mapping[Operation, Act],
    ) -> None:
        self._submission = submission
        self._requests = requests
        self._clock = clock
        self._desk = IssuingDesk(
            submission.issuers,
            store=certificates,
            transactions=transactions,
            audit=audit,
            clock=clock,
        )
        self._acts = acts

    def run(self, record: EnrollmentRecord, *, actor: str) -> Codes | None:
        """Carry out a request that is APPROVED."""
        try:
            if record.operation in ISSUING:
                self._issue(record)
                return None
            codes = self._acts[record.operation](record, actor)
        except Exception:
            # It failed and said so; a crash does not come here and is found by its age.
            self._requests.reopen(record.id, _waiting(record))
            raise
        done = Move(record.id, (RequestState.APPROVED,), RequestState.DONE, self._clock.now())
        self._requests.move(done)
        return codes

    def _issue(self, record: EnrollmentRecord) -> None:
        profile = self._submission.profiles[record.profile]
        request = request_of(record)
        group: Group = ((request, profile),)
        if profile.encryption_profile is not None:
            group = self._submission.pair_service().begin(request, profile=profile)
        self._desk.issue(group, issuer=record.issuer)


def _waiting(record: EnrollmentRecord) -> RequestState:
    if record.needs_make:
        return RequestState.REVIEWED
    return RequestState.AWAITING_PICKUP if record.keyless else RequestState.PENDING
