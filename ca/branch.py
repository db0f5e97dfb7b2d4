"""The branch of a registration authority that runs apart: a copy of the authority's tree.

The authority grows and changes the tree; here it is followed, so that an organisation is the
same, with the same id, on both sides.
"""

from __future__ import annotations

from dataclasses import replace

from ca.acts import Branch, Place
from ca.organisations_store import Organisation, OrganisationQuery, OrganisationStore
from core.audit import AuditLog
from core.clock import Clock
from core.errors import Refused
from core.identity import SYSTEM_ACTOR
from core.transaction import Transactions


class FollowedBranch:
    """Makes the tree here what the authority says that it is."""

    def __init__(
        self,
        store: OrganisationStore,
        *,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._transactions = transactions
        self._audit = audit
        self._clock = clock
        self.known: str | None = None
        """The fingerprint of the branch that was followed last, since the start."""

    def follow(self, branch: Branch) -> bool:
        """Return whether anything changed. Raises `Refused` for another branch than before."""
        with self._transactions.transaction():
            self._store.lock_tree()
            root = self._store.find_root()
            top = branch.places[0]
            if top.parent is not None or (root is not None and root.id != top.id):
                raise Refused(
                    "the authority gave this host another branch: a registration authority keeps "
                    "the one that it began with"
                )
            changed = [self._follow(place) for place in branch.places]
            gone = self._close_others(frozenset(place.id for place in branch.places))
            count = sum(changed) + gone
            if count:
                self._audit.record(
                    "branch.followed", actor=SYSTEM_ACTOR, detail={"top": top.id, "changed": count}
                )
        self.known = branch.fingerprint
        return count > 0

    def _follow(self, place: Place) -> bool:
        old = self._store.find_organisation(place.id)
        closed_at = None
        if place.closed:
            closed_at = self._clock.now() if old is None or old.closed_at is None else old.closed_at
        new = Organisation(
            id=place.id,
            parent=place.parent,
            level=place.level,
            name=place.name,
            code=place.code if old is None else old.code,
            created_at=self._clock.now() if old is None else old.created_at,
            closed_at=closed_at,
        )
        if old == new:
            return False
        if old is None:
            self._store.add_organisation(replace(new, closed_at=None))
        if old is not None or place.closed:
            self._store.update_organisation(new)
        return True

    def _close_others(self, known: frozenset[str]) -> int:
        """Close what has left the branch: nothing new is entered for it here."""
        page = self._store.list_organisations(OrganisationQuery(), limit=10_000)
        gone = [item for item in page.items if item.id not in known and item.closed_at is None]
        for item in gone:
            self._store.update_organisation(replace(item, closed_at=self._clock.now()))
        return len(gone)
