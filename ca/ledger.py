"""Requests and their audit events, written together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ca.requests import Claim, EnrollmentRecord, Move, RequestStore
from core.audit import AuditLog, Event
from core.errors import Conflict, NotFound
from core.transaction import Transactions


@dataclass(frozen=True, slots=True)
class Entered:
    """A checked request that is to be remembered, with the idempotency key that it takes."""

    record: EnrollmentRecord
    key: str | None = None
    body_hash: str = ""


class KeyTaken(Conflict):
    """Another request has the idempotency key."""

    def __init__(self, claim: Claim) -> None:
        super().__init__("another request has this Idempotency-Key")
        self.claim = claim


class RequestLedger:
    """Remembers requests and their steps, each with its audit event in one transaction."""

    def __init__(
        self, requests: RequestStore, *, transactions: Transactions, audit: AuditLog
    ) -> None:
        self._requests = requests
        self._transactions = transactions
        self._audit = audit

    def get(self, request_id: str) -> EnrollmentRecord:
        """Raises `NotFound`."""
        record = self._requests.find_request(request_id)
        if record is None:
            raise NotFound(f"there is no request {request_id}")
        return record

    def add(self, entered: Entered) -> None:
        """Remember a checked request. Raises `KeyTaken`, and `Conflict` as `add_requests` does."""
        with self._transactions.transaction():
            self._audit.record_all(self.write((entered,)))

    def write(self, entered: Sequence[Entered]) -> list[Event]:
        """Remember checked requests; return their audit events, for the same transaction.

        Raises as `add`; then the caller's transaction has to end.
        """
        for one in entered:
            self._claim(one)
        self._requests.add_requests([one.record for one in entered])
        return [_submitted(one.record) for one in entered]

    def _claim(self, entered: Entered) -> None:
        if entered.key is None:
            return
        record = entered.record
        wanted = Claim(record.id, entered.body_hash)
        claim = self._requests.claim(record.requester, entered.key, wanted, now=record.created_at)
        if claim != wanted:
            raise KeyTaken(claim)

    def move(self, step: Move, action: str, *, actor: str) -> bool:
        """Apply a step. False: the request is somewhere else, and nothing was written."""
        with self._transactions.transaction():
            moved = self._requests.move(step)
            if moved:
                self._audit.record(action, actor=actor, detail={"request": step.request_id})
        return moved


def _submitted(record: EnrollmentRecord) -> Event:
    return Event(
        "request.submitted",
        record.requester,
        {
            "request": record.id,
            "operation": record.operation,
            "profile": record.profile,
            "issuer": record.issuer,
            "target": None if record.target is None else record.target.name,
        },
    )
