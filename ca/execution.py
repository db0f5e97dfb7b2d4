"""Doing what a request asks for, when nobody is waited for any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from ca.issuer import Prepared
from ca.issuing import Group, Ready
from ca.issuing_desk import IssuingDesk
from ca.ledger import Entered, RequestLedger
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
        ledger: RequestLedger,
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
            ledger=ledger,
        )
        self._acts = acts

    def enter(self, entered: Entered, prepared: Prepared) -> EnrollmentRecord:
        """Remember a request that waits for nobody, with the intent to sign; then issue.

        Raises as `RequestLedger.add`: then nothing is remembered. Whatever fails after that leaves
        the request to be approved again.
        """
        with self._reopening(entered.record):
            return self._issue(entered.record, Ready(prepared, entered))

    def run(self, record: EnrollmentRecord, *, actor: str) -> EnrollmentRecord:
        """Carry out a request that is APPROVED; return it as it is then, with its codes."""
        with self._reopening(record):
            if record.operation in ISSUING:
                return self._issue(record, self._wanted(record))
            codes = self._acts[record.operation](record, actor)
        done = Move(record.id, (RequestState.APPROVED,), RequestState.DONE, self._clock.now())
        self._requests.move(done)
        return replace(record, state=RequestState.DONE, codes=codes)

    @contextmanager
    def _reopening(self, record: EnrollmentRecord) -> Iterator[None]:
        try:
            yield
        except Exception:
            # It failed and said so; a crash does not come here and is found by its age.
            self._requests.reopen(record.id, _waiting(record))
            raise

    def _wanted(self, record: EnrollmentRecord) -> Group:
        profile = self._submission.profiles[record.profile]
        request = request_of(record)
        if profile.encryption_profile is not None:
            return self._submission.pair_service().begin(request, profile=profile)
        return ((request, profile),)

    def _issue(self, record: EnrollmentRecord, group: Group) -> EnrollmentRecord:
        # Of a pair, the signing certificate is the request's, and comes first.
        issued = self._desk.issue(group, issuer=record.issuer)[0]
        return replace(
            record, state=RequestState.ISSUED, issued_by=issued.issuer, serial=issued.serial
        )


def _waiting(record: EnrollmentRecord) -> RequestState:
    if record.needs_make:
        return RequestState.REVIEWED
    return RequestState.AWAITING_PICKUP if record.keyless else RequestState.PENDING
