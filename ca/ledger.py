"""Requests and their audit events, written together."""

from __future__ import annotations

from ca.requests import Claim, EnrollmentRecord, Move, RequestStore
from core.audit import AuditLog
from core.errors import NotFound
from core.transaction import Transactions


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

    def add(
        self, record: EnrollmentRecord, *, key: str | None = None, body_hash: str = ""
    ) -> Claim:
        """Remember a checked request, unless its idempotency key is taken: return whose it is."""
        wanted = Claim(record.id, body_hash)
        with self._transactions.transaction():
            if key is not None:
                now = record.created_at
                claim = self._requests.claim(record.requester, key, wanted, now=now)
                if claim != wanted:
                    return claim
            self._requests.add_request(record)
            self._audit.record(
                "request.submitted",
                actor=record.requester,
                detail={
                    "request": record.id,
                    "operation": record.operation,
                    "profile": record.profile,
                    "issuer": record.issuer,
                    "target": None if record.target is None else record.target.name,
                },
            )
        return wanted

    def move(self, step: Move, action: str, *, actor: str) -> bool:
        """Apply a step. False: the request is somewhere else, and nothing was written."""
        with self._transactions.transaction():
            moved = self._requests.move(step)
            if moved:
                self._audit.record(action, actor=actor, detail={"request": step.request_id})
        return moved
