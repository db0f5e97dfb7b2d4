"""The desk (受理点) of a registration authority that runs apart: entry, review, outbox.

It signs nothing. What was reviewed waits in the outbox until the certificate authority has
answered; the id of an act is drawn at entry, so that asking twice is asking once.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from ca.acts import Act, Outcome, OutcomeState
from ca.operations import Operation
from ca.profiles import CertificateProfile
from ca.reasons import RevocationReason
from ca.schemas import SubmitRequest
from ca.submitting import request_in
from core.audit import AuditLog
from core.clock import Clock
from core.errors import Conflict, Forbidden, NotFound, ProfileViolation, Refused
from core.transaction import Transactions

log = logging.getLogger(__name__)


class DeskState(StrEnum):
    """Where an act is."""

    PENDING = "pending"
    """待审核: waits for a reviewer here."""
    SENT = "sent"
    """In the outbox: reviewed, and not answered by the certificate authority yet."""
    DONE = "done"
    REFUSED = "refused"
    """By the certificate authority; `comment` says why."""
    REJECTED = "rejected"
    """By a reviewer here; `comment` says why."""


@dataclass(frozen=True, slots=True)
class DeskRecord:
    """One act, from its entry on."""

    id: str
    state: DeskState
    operation: Operation
    profile: str | None
    """Of an application."""
    organisation_id: str | None
    body: str
    """JSON: what the act will carry."""
    requester: str
    created_at: datetime
    decided_by: str | None = None
    decided_at: datetime | None = None
    comment: str | None = None
    answered_at: datetime | None = None
    outcome: str | None = None
    """JSON of the answer."""
    issuer: str | None = None
    serial: str | None = None
    """Of the certificate that was given, or is acted upon. Lowercase hex."""


@dataclass(frozen=True, slots=True)
class DeskPage:
    """One page of acts, newest first."""

    items: Sequence[DeskRecord]
    next_cursor: str | None


class DeskStore(Protocol):
    """Remembers acts for ever. Every method joins the open transaction, or is durable alone."""

    def add(self, record: DeskRecord) -> None:
        """Raises `Conflict` for an id in use."""
        ...

    def find(self, act_id: str) -> DeskRecord | None: ...

    def find_given(self, issuer: str, serial: str) -> DeskRecord | None:
        """Return the application that gave this certificate."""
        ...

    def list_acts(
        self,
        *,
        state: DeskState | None,
        scope: frozenset[str] | None,
        cursor: str | None,
        limit: int,
    ) -> DeskPage: ...

    def list_sent(self, *, limit: int) -> Sequence[DeskRecord]:
        """Return the outbox: changes of status in their order, then applications.

        Of applications, first what was never answered or was answered longest ago.
        """
        ...

    def change(
        self, act_id: str, expected: DeskState, values: Mapping[str, str | datetime | None]
    ) -> bool:
        """Change an act that is `expected`. Of many callers at once, one gets True."""
        ...


class Desk:
    """Takes acts in, has them reviewed, and keeps what became of them."""

    def __init__(
        self,
        store: DeskStore,
        *,
        profiles: Mapping[str, CertificateProfile],
        separate_approver: bool,
        review_changes: bool,
        accept_empty_sm2_id: bool,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self.profiles = profiles
        self._store = store
        self._separate_approver = separate_approver
        self._review_changes = review_changes
        self._accept_empty_sm2_id = accept_empty_sm2_id
        self._transactions = transactions
        self._audit = audit
        self._clock = clock

    def apply(
        self, body: SubmitRequest, *, organisation: str | None, actor: str, key: str | None
    ) -> DeskRecord:
        """Enter an application. `key`: the same one with the same body gives the same record.

        Raises what the certificate authority would refuse and can be seen here already.
        """
        if body.subject_id is not None:
            raise Refused("subject_id: subjects are kept at the certificate authority")
        if body.csr is None:
            raise Refused("without a CSR: pick-ups are kept at the certificate authority")
        profile = self.profiles.get(body.profile)
        if profile is None:
            raise NotFound(f"there is no profile {body.profile}")
        if not profile.requestable:
            raise ProfileViolation(f"profile {body.profile} is not for requesters")
        request_in(
            body,
            requester=actor,
            organisation=organisation,
            accept_empty_sm2_id=self._accept_empty_sm2_id,
        )
        placed = body.model_copy(update={"organisation": organisation})
        record = DeskRecord(
            id=_drawn(actor, key),
            state=DeskState.PENDING,
            operation=Operation.APPLY,
            profile=body.profile,
            organisation_id=organisation,
            body=placed.model_dump_json(),
            requester=actor,
            created_at=self._clock.now(),
        )
        if key is None:
            return self._enter(record)
        known = self._store.find(record.id)
        if known is None:
            return self._enter(record)
        if known.body != record.body:
            raise Conflict("this Idempotency-Key was used with another request body")
        return known

    def act(
        self,
        operation: Operation,
        issuer: str,
        serial: str,
        *,
        reason: RevocationReason | None = None,
        organisation: str | None,
        actor: str,
    ) -> DeskRecord:
        """Enter a change of status; it is sent at once unless changes are reviewed, too."""
        now, direct = self._clock.now(), not self._review_changes
        return self._enter(
            DeskRecord(
                id=secrets.token_hex(16),
                state=DeskState.SENT if direct else DeskState.PENDING,
                operation=operation,
                profile=None,
                organisation_id=organisation,
                body=reason or "",
                requester=actor,
                created_at=now,
                decided_by=actor if direct else None,
                decided_at=now if direct else None,
                issuer=issuer,
                serial=serial,
            )
        )

    def approve(self, act_id: str, *, actor: str) -> DeskRecord:
        """Put an act into the outbox. Raises `Forbidden`, `Conflict`."""
        record = self.get(act_id)
        if self._separate_approver and record.requester == actor:
            raise Forbidden("who enters a request does not review it (ca.separate_approver)")
        self._decide(record, DeskState.SENT, actor, None)
        return self.get(act_id)

    def reject(self, act_id: str, *, actor: str, reason: str) -> DeskRecord:
        """End an act here, with a reason its requester can read."""
        self._decide(self.get(act_id), DeskState.REJECTED, actor, reason)
        return self.get(act_id)

    def get(self, act_id: str) -> DeskRecord:
        """Raises `NotFound`."""
        found = self._store.find(act_id)
        if found is None:
            raise NotFound(f"there is no request {act_id}")
        return found

    def find_given(self, issuer: str, serial: str) -> DeskRecord | None:
        """Return the application that gave this certificate, if it was entered here."""
        return self._store.find_given(issuer, serial)

    def list_acts(
        self,
        *,
        state: DeskState | None,
        scope: frozenset[str] | None,
        cursor: str | None,
        limit: int,
    ) -> DeskPage:
        """Return one page, newest first."""
        return self._store.list_acts(state=state, scope=scope, cursor=cursor, limit=limit)

    def outbox(self, *, limit: int) -> Sequence[Act]:
        """Return acts that wait for the certificate authority."""
        return [_act(record) for record in self._store.list_sent(limit=limit)]

    def answered(self, outcome: Outcome) -> None:
        """Remember an answer. One to something that is answered already changes nothing."""
        now = self._clock.now()
        if outcome.state is OutcomeState.WAITING:
            waiting = {"comment": outcome.detail, "answered_at": now}
            self._store.change(outcome.id, DeskState.SENT, waiting)
            return
        done = outcome.state is OutcomeState.DONE
        values: dict[str, str | datetime | None] = {
            "state": DeskState.DONE if done else DeskState.REFUSED,
            "comment": outcome.detail,
            "answered_at": now,
            "outcome": outcome.model_dump_json(exclude_none=True),
        }
        if outcome.issuer is not None:
            values |= {"issuer": outcome.issuer, "serial": outcome.serial}
        with self._transactions.transaction():
            if self._store.change(outcome.id, DeskState.SENT, values):
                self._audit.record(
                    "desk.answered",
                    actor="authority",
                    detail={
                        "request": outcome.id,
                        "state": outcome.state,
                        "serial": outcome.serial,
                        "why": outcome.detail,
                    },
                )

    def _enter(self, record: DeskRecord) -> DeskRecord:
        with self._transactions.transaction():
            self._store.add(record)
            self._audit.record(
                "desk.entered",
                actor=record.requester,
                detail={
                    "request": record.id,
                    "operation": record.operation,
                    "profile": record.profile,
                    "organisation": record.organisation_id,
                    "serial": record.serial,
                },
            )
        return record

    def _decide(
        self, record: DeskRecord, state: DeskState, actor: str, comment: str | None
    ) -> None:
        values: dict[str, str | datetime | None] = {
            "state": state,
            "decided_by": actor,
            "decided_at": self._clock.now(),
            "comment": comment,
        }
        with self._transactions.transaction():
            if not self._store.change(record.id, DeskState.PENDING, values):
                raise Conflict(f"the request is {self.get(record.id).state}")
            self._audit.record(
                "desk.reviewed", actor=actor, detail={"request": record.id, "state": state}
            )


def _drawn(actor: str, key: str | None) -> str:
    if key is None:
        return secrets.token_hex(16)
    return hashlib.sha256(f"{actor}\n{key}".encode()).hexdigest()[:32]


def _act(record: DeskRecord) -> Act:
    if record.decided_by is None:
        raise Refused("an act that nobody reviewed is not sent")
    applies = record.operation is Operation.APPLY
    revokes = record.operation is Operation.REVOKE
    return Act(
        id=record.id,
        operation=record.operation,
        entered_by=record.requester,
        reviewed_by=record.decided_by,
        request=SubmitRequest.model_validate_json(record.body) if applies else None,
        issuer=None if applies else record.issuer,
        serial=None if applies else record.serial,
        reason=RevocationReason(record.body) if revokes else None,
    )
