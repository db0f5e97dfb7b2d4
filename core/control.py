"""Acts that need more than one person: proposed by one, approved by others, executed once.

    proposed ── the last approval needed ──> approved ── executed, or failed with a reason
        └── rejected by an approver, or expired

The approver is never the requester, and nobody approves twice. Each change of state and its audit
event are one transaction. What an `atomic` act does is in the transaction that says `executed`, so
it happens once, whatever crashes; other acts must stand being called again for one proposal.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from core.audit import AuditLog, Detail
from core.clock import Clock
from core.config import ActRule, ControlConfig
from core.control_store import (
    Act,
    Proposal,
    ProposalState,
    ProposalStore,
    canonical,
    digest_of,
)
from core.errors import Conflict, Forbidden, Malformed, NotFound, TrustError, Unavailable
from core.identity import SYSTEM_ACTOR, Principal, Role
from core.transaction import Transactions

log = logging.getLogger(__name__)

Execute = Callable[[Proposal], str]
"""Does what was proposed and returns what came of it, in a few words. Never a secret."""

APPROVERS: Final[Mapping[Act, frozenset[Role]]] = {
    Act.CA_CERTIFICATE: frozenset({Role.SYSTEM, Role.BUSINESS, Role.KEY}),
    Act.PROFILE_CHANGE: frozenset({Role.SYSTEM, Role.BUSINESS}),
    Act.ROLE_CHANGE: frozenset({Role.SYSTEM, Role.BUSINESS, Role.KEY}),
    Act.RIGHT_CHANGE: frozenset({Role.SYSTEM, Role.BUSINESS}),
    Act.MASS_REVOCATION: frozenset({Role.BUSINESS}),
    Act.CREDENTIAL: frozenset({Role.SYSTEM, Role.BUSINESS, Role.KEY}),
}
"""Whose approval counts. The auditor's never does: who audits an act has no part in it."""
Check = Callable[[Proposal, Principal], None]
"""Refuses an approver whose role is right and who yet may not. Raises `Forbidden`."""
MAX_SUMMARY: Final = 4_000
_RESUME_AFTER: Final = timedelta(seconds=30)
"""An approved act that is not executed after this time was left by a crash."""
_S = ProposalState
_OPEN: Final = (_S.PROPOSED, _S.APPROVED)


@dataclass(frozen=True, slots=True)
class _Executor:
    execute: Execute
    atomic: bool
    check: Check


class DualControl:
    """Takes proposals through their life."""

    def __init__(
        self,
        store: ProposalStore,
        *,
        config: ControlConfig,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._config = config
        self._transactions = transactions
        self._audit = audit
        self._clock = clock
        self._executors: dict[Act, _Executor] = {}

    def register(
        self,
        act: Act,
        execute: Execute,
        *,
        atomic: bool = True,
        check: Check = lambda _, __: None,
    ) -> None:
        """Say how an act is done. An act without this waits, approved, until somebody `use`s it.

        `atomic`: `execute` runs inside the transaction that ends the proposal. Otherwise it runs
        outside any, and may be called again for the same proposal after a crash.
        """
        self._executors[act] = _Executor(execute, atomic, check)

    def rule(self, act: Act) -> ActRule:
        """Return what the settings ask of an act."""
        return {
            Act.CA_CERTIFICATE: self._config.ca_certificate,
            Act.PROFILE_CHANGE: self._config.profile_change,
            Act.ROLE_CHANGE: self._config.role_change,
            Act.RIGHT_CHANGE: self._config.right_change or self._config.role_change,
            Act.MASS_REVOCATION: self._config.mass_revocation,
            # A credential of somebody else's line is that line.
            Act.CREDENTIAL: self._config.role_change,
        }[act]

    def propose(
        self, act: Act, parameters: Mapping[str, Any], *, summary: str, actor: str
    ) -> Proposal:
        """Remember what somebody wants; do it at once when the act needs no approval.

        An act that is done at once and fails raises its error and leaves no proposal.
        """
        rule, now = self.rule(act), self._clock.now()
        proposal = Proposal(
            id=secrets.token_hex(16),
            act=act,
            state=_S.PROPOSED if rule.approvals else _S.APPROVED,
            parameters=canonical(parameters),
            summary=_checked(summary),
            requester=actor,
            needed=rule.approvals,
            created_at=now,
            expires_at=now + timedelta(hours=rule.hours),
            decided_at=None if rule.approvals else now,
        )
        with self._transactions.transaction():
            self._store.add_proposal(proposal)
            detail = {**_detail(proposal), "needed": rule.approvals, "summary": summary}
            self._audit.record("proposal.made", actor=actor, detail=detail)
            executor = self._executors.get(act)
            if not rule.approvals and executor is not None and executor.atomic:
                return self._finish(proposal, executor.execute)
        return proposal if rule.approvals else self._run(proposal)

    def approve(self, proposal_id: str, *, actor: Principal) -> Proposal:
        """Add one approval; the last one needed executes the act.

        An act that cannot be done then is `failed` and says why; one whose database or device is
        away stays `approved` and is tried again. Raises `Forbidden`, `Conflict`, `NotFound`.
        """
        with self._transactions.transaction():
            proposal = self._live(proposal_id, _S.PROPOSED)
            _require_officer(proposal, actor)
            if (executor := self._executors.get(proposal.act)) is not None:
                executor.check(proposal, actor)
            self._store.add_approval(proposal_id, actor.name, at=self._clock.now())
            last = len(proposal.approvals) + 1 >= proposal.needed
            if last:
                self._change(proposal, _S.APPROVED)
            self._audit.record("proposal.approved", actor=actor.name, detail=_detail(proposal))
        if last:
            self._try(self.get(proposal_id))
        return self.get(proposal_id)

    def reject(self, proposal_id: str, *, actor: Principal, reason: str) -> Proposal:
        """End a proposal; its requester may too, to take it back."""
        with self._transactions.transaction():
            proposal = self._live(proposal_id, *_OPEN)
            if actor.name != proposal.requester:
                _require_officer(proposal, actor)
            self._change(proposal, _S.REJECTED, outcome=_checked(reason))
            detail = {**_detail(proposal), "why": reason}
            self._audit.record("proposal.rejected", actor=actor.name, detail=detail)
        return self.get(proposal_id)

    def use(self, proposal_id: str, *, outcome: str) -> Proposal:
        """Say that an approved act is being done, once, in the open transaction if there is one.

        Raises `Conflict` when it is not approved, or was used before.
        """
        with self._transactions.transaction():
            proposal = self._live(proposal_id, _S.APPROVED)
            return self._finish(proposal, lambda _: outcome)

    def find_approved(self, act: Act, parameters: Mapping[str, Any]) -> Proposal | None:
        """Return the approved proposal of exactly this, if one waits to be used."""
        found = self._store.find_open(act, digest_of(act, canonical(parameters)))
        for proposal in map(self._aged, found):
            if proposal.state is _S.APPROVED:
                return proposal
        return None

    def get(self, proposal_id: str) -> Proposal:
        """Raises `NotFound`."""
        return self._find(proposal_id, lock=False)

    def list_proposals(
        self,
        *,
        state: ProposalState | None = None,
        act: Act | None = None,
        limit: int = 100,
        sort: str | None = None,
        after: str | None = None,
    ) -> Sequence[Proposal]:
        """Return the newest first, or as `sort` says, behind the one with the id `after`."""
        now = self._clock.now()
        found = self._store.list_proposals(
            state=state, act=act, now=now, limit=limit, sort=sort, after=after
        )
        return [self._aged(proposal) for proposal in found]

    def resume(self) -> int:
        """Execute what a crash left approved, and end what expired. Returns how many moved."""
        moved, now = 0, self._clock.now()
        for proposal in self._store.list_unfinished():
            if now >= proposal.expires_at:
                moved += self._expire(proposal)
            elif (
                proposal.act in self._executors
                and proposal.decided_at is not None
                and now >= proposal.decided_at + _RESUME_AFTER
            ):
                moved += self._try(proposal)
        return moved

    def _try(self, proposal: Proposal) -> bool:
        try:
            self._run(proposal)
        except TrustError:
            # The proposal says so where it matters; who approves last is not who is told.
            log.exception("an approved act was not done", extra={"proposal": proposal.id})
            return False
        return True

    def _run(self, proposal: Proposal) -> Proposal:
        executor = self._executors.get(proposal.act)
        if executor is None:
            return proposal
        try:
            if executor.atomic:
                with self._transactions.transaction():
                    live = self._live(proposal.id, _S.APPROVED)
                    return self._finish(live, executor.execute)
            outcome = executor.execute(proposal)
            with self._transactions.transaction():
                return self._finish(self._live(proposal.id, _S.APPROVED), lambda _: outcome)
        except Unavailable:
            raise  # nothing is wrong with the act: it is tried again
        except Exception as error:
            self._fail(proposal, error)
            raise

    def _finish(self, proposal: Proposal, execute: Execute) -> Proposal:
        outcome = execute(proposal)
        self._change(proposal, _S.EXECUTED, outcome=outcome)
        detail = {**_detail(proposal), "outcome": outcome}
        self._audit.record("proposal.executed", actor=proposal.requester, detail=detail)
        return replace(proposal, state=_S.EXECUTED, outcome=outcome)

    def _fail(self, proposal: Proposal, error: Exception) -> None:
        reason = str(error) if isinstance(error, TrustError) else type(error).__name__
        with self._transactions.transaction():
            present = self._find(proposal.id, lock=True)
            if present.state is not _S.APPROVED:
                return  # another thread executed it
            self._change(present, _S.FAILED, outcome=reason[:MAX_SUMMARY])
            detail = {**_detail(proposal), "error": type(error).__name__}
            self._audit.record("proposal.failed", actor=proposal.requester, detail=detail)

    def _expire(self, proposal: Proposal) -> bool:
        with self._transactions.transaction():
            if not self._store.change_proposal(
                proposal.id, _S.EXPIRED, expected=_OPEN, at=self._clock.now(), outcome=None
            ):
                return False
            self._audit.record("proposal.expired", actor=SYSTEM_ACTOR, detail=_detail(proposal))
        return True

    def _change(self, proposal: Proposal, state: _S, *, outcome: str | None = None) -> None:
        if not self._store.change_proposal(
            proposal.id, state, expected=(proposal.state,), at=self._clock.now(), outcome=outcome
        ):
            raise Conflict("the proposal changed at the same moment: look again")

    def _find(self, proposal_id: str, *, lock: bool) -> Proposal:
        found = self._store.find_proposal(proposal_id, lock=lock)
        if found is None:
            raise NotFound(f"there is no proposal {proposal_id}")
        return self._aged(found)

    def _live(self, proposal_id: str, *expected: ProposalState) -> Proposal:
        proposal = self._find(proposal_id, lock=True)
        if proposal.state not in expected:
            raise Conflict(f"the proposal is {proposal.state}")
        return proposal

    def _aged(self, proposal: Proposal) -> Proposal:
        if proposal.state in _OPEN and self._clock.now() >= proposal.expires_at:
            return replace(proposal, state=_S.EXPIRED)
        return proposal


def _checked(text: str) -> str:
    if not 1 <= len(text.strip()) <= MAX_SUMMARY:
        raise Malformed(f"a summary or reason has 1 to {MAX_SUMMARY} characters")
    return text.strip()


def _require_officer(proposal: Proposal, actor: Principal) -> None:
    if actor.name == proposal.requester:
        raise Forbidden("who proposes an act cannot approve it: another person has to")
    roles = APPROVERS[proposal.act]
    if actor.role not in roles:
        wanted = " or ".join(sorted(roles))
        raise Forbidden(f"a {proposal.act} is decided by {wanted}; {actor.name} has {actor.role}")


def _detail(proposal: Proposal) -> Detail:
    return {
        "proposal": proposal.id,
        "act": proposal.act,
        "parameters": digest_of(proposal.act, proposal.parameters),
    }
