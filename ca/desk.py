"""The desk (受理点) of a registration authority that runs apart: entry, review, outbox.

It signs nothing. What was reviewed waits in the outbox until the certificate authority has
answered; the id of an act is drawn at entry, so that asking twice is asking once.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from ca.acts import Act, Outcome, OutcomeState
from ca.contents import check_choices
from ca.csr import parse_csr
from ca.desk_answers import first_answer, given_key
from ca.desk_bodies import ReplacementBody, act_of, id_for, revocation_of
from ca.desk_store import DeskCount, DeskPage, DeskQuery, DeskRecord, DeskState, DeskStore
from ca.names import check_attributes, text_of
from ca.operations import REPLACING, Operation
from ca.pickup import PickupOffers
from ca.profiles import CertificateProfile
from ca.reasons import RevocationReason
from ca.schemas import SubmitRequest
from ca.submitting import request_in
from core.audit import AuditLog
from core.clock import Clock
from core.errors import Conflict, Forbidden, NotFound, ProfileViolation, Refused
from core.transaction import Transactions

_OPEN: Final = (DeskState.PENDING, DeskState.AWAITING_PICKUP)


class Desk:
    """Takes acts in, has them reviewed, and keeps what became of them."""

    def __init__(
        self,
        store: DeskStore,
        *,
        pickups: PickupOffers,
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
        self._pickups = pickups
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
        profile = self.profiles.get(body.profile)
        if profile is None:
            raise NotFound(f"there is no profile {body.profile}")
        if not profile.requestable:
            raise ProfileViolation(f"profile {body.profile} is not for requesters")
        request = request_in(
            body,
            requester=actor,
            organisation=organisation,
            accept_empty_sm2_id=self._accept_empty_sm2_id,
        )
        if body.csr is None:
            # Whoever comes with the codes could do nothing about names that are refused then.
            check_choices(request, profile)
        placed = body.model_copy(update={"organisation": organisation})
        record = replace(
            self._pending(Operation.APPLY, placed.model_dump_json(), actor=actor, key=key),
            profile=body.profile,
            organisation_id=organisation,
            keyless=body.csr is None,
            subject=text_of(check_attributes(request.subject)) or None,
        )
        return self._enter_once(record, key)

    def replace(
        self,
        operation: Operation,
        wanted: ReplacementBody,
        *,
        profile: str | None,
        organisation: str | None,
        subject: str | None = None,
        actor: str,
        key: str | None,
    ) -> DeskRecord:
        """Enter a renewal, a re-key or a re-issue. `key`: as of `apply`.

        `profile` None: the certificate was not given here, and the authority knows it alone.
        """
        if operation not in REPLACING:
            raise ValueError(f"{operation} replaces nothing")
        if wanted.csr is not None:
            parse_csr(wanted.csr.encode(), accept_empty_sm2_id=self._accept_empty_sm2_id)
        keyless = operation is not Operation.RENEW and wanted.csr is None
        record = replace(
            self._pending(operation, wanted.model_dump_json(), actor=actor, key=key),
            profile=profile,
            organisation_id=organisation,
            keyless=keyless,
            subject=subject,
        )
        return self._enter_once(record, key)

    def act(
        self,
        operation: Operation,
        issuer: str,
        serial: str,
        *,
        reason: RevocationReason | None = None,
        profile: str | None = None,
        organisation: str | None,
        subject: str | None = None,
        actor: str,
    ) -> DeskRecord:
        """Enter a change of status; it is sent at once unless changes are reviewed, too."""
        now, direct = self._clock.now(), not self._review_changes
        return self._enter(
            DeskRecord(
                id=secrets.token_hex(16),
                state=DeskState.SENT if direct else DeskState.PENDING,
                operation=operation,
                profile=profile,
                organisation_id=organisation,
                body=reason or "",
                requester=actor,
                created_at=now,
                decided_by=actor if direct else None,
                decided_at=now if direct else None,
                issuer=issuer,
                serial=serial,
                subject=subject,
            )
        )

    def approve(self, act_id: str, *, actor: str) -> DeskRecord:
        """Put an act into the outbox, or offer its pick-up by two codes.

        Raises `Forbidden`, `Conflict`.
        """
        record = self.get(act_id)
        if self._separate_approver and record.requester == actor:
            raise Forbidden("who enters a request does not review it (ca.separate_approver)")
        if not record.keyless:
            self._decide(record, DeskState.SENT, actor, None)
            return self.get(act_id)
        with self._transactions.transaction():
            self._decide(record, DeskState.AWAITING_PICKUP, actor, None)
            codes = self._pickups.offer(act_id, actor=actor)
            if record.operation is Operation.REISSUE:
                # Its medium is lost now, whenever the new key comes.
                self._enter(self._revocation(self.get(act_id)))
        return replace(self.get(act_id), codes=codes)

    def resend(self, act_id: str, *, actor: str) -> DeskRecord:
        """Make new codes for a pick-up; the old ones end. Raises `Conflict` without one."""
        with self._transactions.transaction():
            state = self.get(act_id).state
            if state is not DeskState.AWAITING_PICKUP:
                raise Conflict(f"the request is {state}: it does not wait for a pick-up")
            codes = self._pickups.offer(act_id, actor=actor)
        return replace(self.get(act_id), codes=codes)

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
        """Return the act that gave this certificate, if it was entered here."""
        return self._store.find_given(issuer, serial)

    def list_acts(
        self,
        query: DeskQuery,
        *,
        scope: frozenset[str] | None,
        cursor: str | None,
        limit: int,
        sort: str | None = None,
    ) -> DeskPage:
        """Return one page, newest first."""
        return self._store.list_acts(query, scope=scope, cursor=cursor, limit=limit, sort=sort)

    def count(
        self, *, first: datetime, until: datetime, scope: frozenset[str] | None
    ) -> Sequence[DeskCount]:
        """Count what was entered from `first` on, before `until` (统计)."""
        return self._store.count(first=first, until=until, scope=scope)

    def outbox(self, *, limit: int) -> Sequence[Act]:
        """Return acts that wait for the certificate authority."""
        return [act_of(record) for record in self._store.list_sent(limit=limit)]

    def answered(self, outcome: Outcome) -> None:
        """Remember an answer. One to something that is answered already changes nothing."""
        now = self._clock.now()
        if outcome.state is OutcomeState.WAITING:
            waiting = {"comment": outcome.detail, "answered_at": now}
            self._store.change(outcome.id, DeskState.SENT, waiting)
            return
        with self._transactions.transaction():
            record = self._store.find(outcome.id)
            if record is None:
                return
            values = given_key(record, outcome)
            if record.outcome is None:
                values |= first_answer(outcome)
            if self._store.change(outcome.id, DeskState.SENT, {**values, "answered_at": now}):
                detail = {"request": outcome.id, "state": outcome.state, "serial": outcome.serial}
                self._audit.record(
                    "desk.answered",
                    actor="authority",
                    detail={**detail, "format": outcome.format, "why": outcome.detail},
                )

    def _pending(
        self, operation: Operation, body: str, *, actor: str, key: str | None
    ) -> DeskRecord:
        return DeskRecord(
            id=id_for(actor, key),
            state=DeskState.PENDING,
            operation=operation,
            profile=None,
            organisation_id=None,
            body=body,
            requester=actor,
            created_at=self._clock.now(),
        )

    def _enter_once(self, record: DeskRecord, key: str | None) -> DeskRecord:
        known = None if key is None else self._store.find(record.id)
        if known is None:
            return self._enter(record)
        if (known.operation, known.body) != (record.operation, record.body):
            raise Conflict("this Idempotency-Key was used with another request body")
        return known

    def _revocation(self, record: DeskRecord) -> DeskRecord:
        sent = replace(record, state=DeskState.SENT, created_at=self._clock.now())
        return revocation_of(sent, secrets.token_hex(16))

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
        # What waits for its pick-up can be rejected, and not be approved again.
        expected = record.state if state is DeskState.REJECTED else DeskState.PENDING
        with self._transactions.transaction():
            if expected not in _OPEN or not self._store.change(record.id, expected, values):
                raise Conflict(f"the request is {self.get(record.id).state}")
            self._audit.record(
                "desk.reviewed", actor=actor, detail={"request": record.id, "state": state}
            )
