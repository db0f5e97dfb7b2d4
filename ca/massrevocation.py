"""Revoking many certificates: seen before, agreed to, done in batches, resumed after any crash.

A selection is proposed (`core.control`); once agreed to, it becomes a row, and a job works it off.
Each batch is one transaction of the changes, their audit events and the position reached.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from ca.blockedkeys import BlockedKeys
from ca.massrevocation_store import (
    Chosen,
    MassRevocation,
    MassRevocationStore,
    MassState,
    Preview,
    Selection,
)
from ca.reasons import RevocationReason
from ca.revocation import RevocationService
from ca.serials import to_hex
from core.audit import AuditLog, Detail
from core.clock import Clock
from core.control import DualControl
from core.control_store import Act, Proposal
from core.errors import NotFound, Refused
from core.transaction import Transactions

log = logging.getLogger(__name__)

BATCH: Final = 100
_BATCHES_AT_ONCE: Final = 20
_SHOWN: Final = 20
_BEGIN_AFTER: Final = timedelta(seconds=3)
"""Other processes refuse a blocked key a second later (`ca.blockedkeys`): what they issued until
then is behind the position when the work begins after that."""
_FORBIDDEN: Final = (
    RevocationReason.CERTIFICATE_HOLD,
    RevocationReason.CA_COMPROMISE,
    RevocationReason.AA_COMPROMISE,
)


class MassRevocations:
    """Previews, proposes and works off revocations of many certificates."""

    def __init__(
        self,
        store: MassRevocationStore,
        revocation: RevocationService,
        blocked: BlockedKeys,
        *,
        control: DualControl,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._revocation = revocation
        self.blocked = blocked
        self._control = control
        self._transactions = transactions
        self._audit = audit
        self._clock = clock
        control.register(Act.MASS_REVOCATION, self._begin)

    def preview(self, selection: Selection) -> Preview:
        """Count what would be revoked now, and show the first of it. Changes nothing."""
        return self._store.preview(selection, now=self._clock.now(), first=_SHOWN)

    def propose(self, selection: Selection, reason: RevocationReason, *, actor: str) -> Proposal:
        """Propose it; it begins when those agree who have to. Raises `Refused`.

        What is issued after the proposal is not in it, unless a public key chooses: that key is
        compromised whenever the certificate was issued.
        """
        if reason in _FORBIDDEN:
            raise Refused(f"{reason} is not a reason to revoke many certificates")
        if selection.spki_fingerprint is None:
            now = self._clock.now()
            selection = replace(selection, issued_before=min(selection.issued_before or now, now))
        seen = self.preview(selection)
        if seen.total == 0 and selection.spki_fingerprint is None:
            raise Refused("there is no certificate to revoke in this selection")
        summary = f"revoke {seen.total} certificates for {reason}: {selection.words()}"
        if selection.spki_fingerprint is not None:
            summary += "; the key is blocked from then on"
        return self._control.propose(
            Act.MASS_REVOCATION,
            {"selection": selection.document(), "reason": str(reason)},
            summary=summary,
            actor=actor,
        )

    def get(self, job_id: str) -> MassRevocation:
        """Raises `NotFound`."""
        found = self._store.find_mass_revocation(job_id)
        if found is None:
            raise NotFound(f"there is no mass revocation {job_id}")
        return found

    def list_jobs(
        self,
        *,
        may_see: Callable[[Selection], bool],
        state: MassState | None = None,
        limit: int,
        sort: str | None = None,
        after: str | None = None,
    ) -> Sequence[MassRevocation]:
        """Return the newest first, or as `sort` says, behind the one with the id `after`."""
        found: list[MassRevocation] = []
        while len(found) < limit:
            some = self._store.list_mass_revocations(
                state=state, limit=limit, sort=sort, after=after
            )
            found += [job for job in some if may_see(job.selection)]
            if len(some) < limit:
                break
            after = some[-1].id
        return found[:limit]

    def run(self) -> int:
        """Go on with what is not done, for some seconds at most. Returns how many were revoked."""
        revoked = 0
        for job in self._store.list_mass_revocations(state=MassState.RUNNING, limit=100):
            if self._clock.now() < job.created_at + _BEGIN_AFTER:
                continue
            for _ in range(_BATCHES_AT_ONCE):
                done = self._batch(job.id)
                revoked += done.revoked - job.revoked
                job = done  # noqa: PLW2901 - the same job, further on
                if job.state is MassState.DONE:
                    break
        return revoked

    def _begin(self, proposal: Proposal) -> str:
        wanted = proposal.arguments()
        selection = Selection.of(wanted["selection"])
        if selection.spki_fingerprint is not None:
            self.blocked.block(
                selection.spki_fingerprint, reason=wanted["reason"], actor=proposal.requester
            )
        expected = self.preview(selection).total
        self._store.add_mass_revocation(
            MassRevocation(
                id=proposal.id,
                state=MassState.RUNNING,
                selection=selection,
                reason=RevocationReason(wanted["reason"]),
                actor=proposal.requester,
                created_at=self._clock.now(),
                expected=expected,
            )
        )
        return f"revoking {expected} certificates: see mass revocation {proposal.id}"

    def _batch(self, job_id: str) -> MassRevocation:
        now = self._clock.now()
        with self._revocation.batch() as batch:
            job = self._store.find_mass_revocation(job_id, lock=True)
            if job is None or job.state is MassState.DONE:
                return self.get(job_id)
            chosen = self._store.choose(job.selection, now=now, after=job.position, limit=BATCH)
            revoked = refused = 0
            for one in chosen:
                try:
                    revoked += batch.revoke(one.issuer, one.serial, job.reason, actor=job.actor)
                except Refused as error:
                    refused += 1
                    _log_refusal(job, one, error)
            done = replace(
                job,
                state=MassState.RUNNING if len(chosen) == BATCH else MassState.DONE,
                position=chosen[-1].position if chosen else job.position,
                revoked=job.revoked + revoked,
                refused=job.refused + refused,
                finished_at=None if len(chosen) == BATCH else now,
            )
            self._store.move_mass_revocation(done)
            batch.apply()
            if done.state is MassState.DONE:
                detail: Detail = {"id": job.id, "revoked": done.revoked, "refused": done.refused}
                self._audit.record("massrevocation.finished", actor=job.actor, detail=detail)
        return done


def _log_refusal(job: MassRevocation, one: Chosen, error: Refused) -> None:
    log.warning(
        "not revoked with the others",
        extra={
            "job": job.id,
            "issuer": one.issuer,
            "serial": to_hex(one.serial),
            "why": str(error),
        },
    )
