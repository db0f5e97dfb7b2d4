"""Who may do what, in which subtree and with which profiles (权限管理).

A right is given to one operator, over an organisation and everything below it. Nobody gives more
than they have, and nobody gives anything to themselves. What may be *seen* follows the subtree
alone: profiles limit acts, not sight.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final

from ca.operations import ISSUING, Operation
from ca.organisations import Organisations
from ca.rights_store import Grant, Held, Right, RightPage, RightStore, Step
from core.audit import AuditLog
from core.clock import Clock
from core.errors import Conflict, Forbidden, NotFound, Refused
from core.transaction import Transactions

_APART: Final = ({Step.ENTRY, Step.REVIEW}, {Step.REVIEW, Step.MAKE})
EVERYTHING: Final = Grant(profiles=None, operations=None, steps=frozenset(Step))


class Rights:
    """Gives, takes and enforces rights."""

    def __init__(
        self,
        store: RightStore,
        organisations: Organisations,
        *,
        find_operator: Callable[[str], str | None],
        separate_steps: bool,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._organisations = organisations
        self._find_operator = find_operator
        self._separate_steps = separate_steps
        self._transactions = transactions
        self._audit = audit
        self._clock = clock

    # ---- asking ---------------------------------------------------------------------------------

    def require(
        self,
        name: str,
        operation: Operation,
        step: Step | None,
        *,
        organisation: str | None,
        profile: str | None,
    ) -> None:
        """Let an operator do this there; one indexed query.

        `step` None: any. `organisation` None: the root. `profile` None: the act is about no
        profile. Raises `Forbidden`, with the right that is missing, and `Refused` when the
        organisation is closed and the operation would give it something new.
        """
        held = self._store.list_held(name, organisation)
        for one in held:
            if one.grant.covers(operation, step, profile):
                _check_open(one, operation)
                return
        raise Forbidden(self._missing(name, operation, step, organisation, profile))

    def scope(self, name: str, operation: Operation = Operation.QUERY) -> frozenset[str] | None:
        """Return the tops of the subtrees where an operator holds `operation`; None: everything.

        To be turned into a condition by `ca.sqlorganisations.in_scope`.
        """
        held = [one for one in self._store.list_of(name) if one.grant.allows(operation)]
        if any(one.is_root for one in held):
            return None
        return frozenset(one.organisation for one in held)

    def require_scope(
        self, name: str, operation: Operation = Operation.QUERY
    ) -> frozenset[str] | None:
        """Return `scope`. Raises `Forbidden` when it is empty."""
        scope = self.scope(name, operation)
        if scope is not None and not scope:
            raise Forbidden(f"{name} has no right to {operation} in any organisation")
        return scope

    def place(
        self,
        name: str,
        operation: Operation,
        step: Step | None,
        *,
        organisation: str | None,
        profile: str | None,
    ) -> str | None:
        """Return where a new request belongs: `organisation`, or the only place there is.

        One indexed query, like `require`. None: the root. Raises `Forbidden`, and `Refused` for
        who may act in several organisations and does not say where.
        """
        if organisation is not None:
            self.require(name, operation, step, organisation=organisation, profile=profile)
            return organisation
        held = [
            one for one in self._store.list_of(name) if one.grant.covers(operation, step, profile)
        ]
        if not held:
            raise Forbidden(self._missing(name, operation, step, None, profile))
        if any(one.is_root for one in held):
            return None
        if len({one.organisation for one in held}) > 1:
            raise Refused(f"{name} may {operation} in several organisations: say in which")
        _check_open(held[0], operation)
        return held[0].organisation

    # ---- giving and taking ----------------------------------------------------------------------

    def grant(
        self,
        operator: str,
        organisation: str,
        grant: Grant,
        *,
        actor: str,
        right_id: str | None = None,
    ) -> Right:
        """Give a right. Raises `Forbidden` for more than `actor` has, `NotFound`, `Conflict`."""
        with self._transactions.transaction():
            self._store.lock_tree()
            known = self.check_grant(operator, organisation, grant, actor=actor)
            return self._add(known, organisation, grant, actor=actor, right_id=right_id)

    def check_grant(self, operator: str, organisation: str, grant: Grant, *, actor: str) -> str:
        """Return the operator's name. Raises what `grant` would, and changes nothing."""
        place = self._organisations.get(organisation)
        self.require_manages(actor, organisation, grant)
        known = self._find_operator(operator)
        if known is None:
            raise NotFound(f"there is no business administrator {operator!r}")
        if known == actor:
            raise Forbidden("nobody gives rights to themselves: ask who stands above")
        if self._separate_steps:
            self._check_apart(known, organisation, grant)
        if place.closed_at is not None:
            raise Refused(f"{place.name} was closed on {place.closed_at:%Y-%m-%d}")
        return known

    def revoke(self, right_id: str, *, actor: str) -> None:
        """Take a right away.

        Raises `Forbidden`, `NotFound`, and `Conflict` when nobody could manage rights then.
        """
        with self._transactions.transaction():
            self._store.lock_tree()
            right = self.check_revoke(right_id, actor=actor)
            self._store.remove_right(right_id)
            if not self._store.has_root_manager():
                raise Conflict(
                    f"{right.operator} is the last who manages rights over the whole tree: "
                    "give that to somebody else first"
                )
            detail = {"right": right_id, "operator": right.operator}
            self._audit.record(
                "right.revoked", actor=actor, detail={**detail, "organisation": right.organisation}
            )

    def check_revoke(self, right_id: str, *, actor: str) -> Right:
        """Return the right. Raises `NotFound`, `Forbidden`, and changes nothing."""
        right = self.get(right_id)
        self.require_manages(actor, right.organisation, right.grant)
        return right

    def get(self, right_id: str) -> Right:
        """Raises `NotFound`."""
        found = self._store.find_right(right_id)
        if found is None:
            raise NotFound(f"there is no right {right_id}")
        return found

    def describe(self, organisation: str) -> str:
        """Return the names from the root to an organisation."""
        return " / ".join(above.name for above in self._organisations.path(organisation))

    def give_everything(self, operator: str, *, actor: str) -> Right:
        """Give the whole tree to an operator: the first start, and whoever owns the host.

        Not bound by the separation of steps: it is for when there is nobody else.
        """
        known = self._find_operator(operator)
        if known is None:
            raise NotFound(f"there is no business administrator {operator!r}")
        with self._transactions.transaction():
            self._store.lock_tree()
            return self._add(known, self._organisations.root().id, EVERYTHING, actor=actor)

    def give_registrar(
        self, registrar: str, organisation: str, grant: Grant, *, actor: str
    ) -> Right:
        """Give a registration authority that runs apart its branch: whoever owns the host.

        Its own operators are kept apart there, so the separation of steps is not asked for.
        """
        with self._transactions.transaction():
            self._store.lock_tree()
            place = self._organisations.get(organisation)
            return self._add(registrar, place.id, grant, actor=actor)

    def take_registrar(self, registrar: str, *, actor: str) -> None:
        """Take everything from a registration authority."""
        with self._transactions.transaction():
            self._store.lock_tree()
            for right in self.list_rights(operator=registrar, scope=None, limit=1000).items:
                self._store.remove_right(right.id)
                detail = {"right": right.id, "operator": registrar}
                self._audit.record(
                    "right.revoked",
                    actor=actor,
                    detail={**detail, "organisation": right.organisation},
                )

    def list_rights(
        self,
        *,
        operator: str | None,
        scope: frozenset[str] | None,
        cursor: str | None = None,
        limit: int = 100,
        sort: str | None = None,
    ) -> RightPage:
        """Return one page of the rights over organisations in `scope`, oldest first."""
        return self._store.list_rights(
            operator=operator, scope=scope, cursor=cursor, limit=limit, sort=sort
        )

    def nobody_has_any(self) -> bool:
        """Whether no right was ever given, or all are gone."""
        return not self._store.list_rights(operator=None, scope=None, cursor=None, limit=1).items

    def _add(
        self,
        operator: str,
        organisation: str,
        grant: Grant,
        *,
        actor: str,
        right_id: str | None = None,
    ) -> Right:
        right = Right(
            id=right_id or secrets.token_hex(16),
            operator=operator,
            organisation=organisation,
            grant=grant,
            granted_by=actor,
            granted_at=self._clock.now(),
        )
        self._store.add_right(right)
        detail = {"right": right.id, "operator": operator, "organisation": organisation}
        self._audit.record("right.granted", actor=actor, detail={**detail, **grant.words()})
        return right

    def require_manages(self, actor: str, organisation: str, grant: Grant) -> None:
        """Raises `Forbidden` for who could not give `grant` there."""
        managed = [
            one.grant
            for one in self._store.list_held(actor, organisation)
            if one.grant.allows(Operation.RIGHTS)
        ]
        # With separate steps nobody holds all of them, and somebody has to give each.
        compared = frozenset[Step]() if self._separate_steps else grant.steps
        wanted = Grant(grant.profiles, grant.operations, compared)
        if not any(mine.contains(wanted) for mine in managed):
            words = ", ".join(f"{key} {value}" for key, value in grant.words().items())
            raise Forbidden(
                f"{actor} does not hold the right `rights` in this organisation over all of: "
                f"{words}"
            )

    def _check_apart(self, operator: str, organisation: str, grant: Grant) -> None:
        for other in self._store.list_related(operator, organisation):
            together = (
                (other.grant.steps | grant.steps) if other.grant.meets(grant) else grant.steps
            )
            self._refuse_both(operator, together)
        self._refuse_both(operator, grant.steps)

    def _refuse_both(self, operator: str, steps: frozenset[Step]) -> None:
        for pair in _APART:
            if pair <= steps:
                raise Conflict(
                    f"{operator} would hold {' and '.join(sorted(pair))} of the same organisation "
                    "and profile: give one of them to somebody else (ca.separate_steps)"
                )

    def _missing(
        self,
        name: str,
        operation: Operation,
        step: Step | None,
        organisation: str | None,
        profile: str | None,
    ) -> str:
        place = "the whole tree"
        if organisation is not None:
            place = self.describe(organisation)
        hand = "" if step is None else f", step {step}"
        kind = "" if profile is None else f", profile {profile}"
        return f"{name} lacks the right: {operation}{hand}{kind} in {place}"


def _check_open(held: Held, operation: Operation) -> None:
    if held.closed_at is not None and operation in ISSUING:
        raise Refused(f"{held.organisation_name} was closed on {held.closed_at:%Y-%m-%d}")
