"""For whom a person acts: themselves, or one of the organisations they may act for (法人账号).

A person is one user. An affiliation ties them to an organisation of the tree in a capacity; with
some capacities they may act for it, one organisation at a time, chosen explicitly. The session
says for whom (`authn.sessions.Sessions.switch`), and so does every grant that it gives.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Protocol

from authn.store import User
from core.audit import AuditLog
from core.clock import Clock
from core.errors import Conflict, Malformed, NotFound
from core.transaction import Transactions

MOST: Final = 200
"""Affiliations of one person."""


class Capacity(StrEnum):
    """As what a person belongs to an organisation."""

    STAFF = "staff"
    """工作人员: belongs to it, and does not act for it."""
    AGENT = "agent"
    """经办人: acts for it in some matter."""
    LEGAL_REPRESENTATIVE = "legal-representative"
    """法定代表人: acts for it."""

    @property
    def acts(self) -> bool:
        """Whether it makes a legal person's account."""
        return self is not Capacity.STAFF


class AccountKind(StrEnum):
    """Whose account is used."""

    NATURAL = "natural"
    """自然人"""
    LEGAL = "legal"
    """法人"""


@dataclass(frozen=True, slots=True)
class OrganisationEntry:
    """What the directory says about an organisation."""

    id: str
    name: str
    code: str | None
    """统一社会信用代码 or 行政区划代码."""


class Directory(Protocol):
    """The tree of organisations. `yinxin.directory` fulfils it; `authn` does not know `ca`."""

    def find(self, organisation_id: str) -> OrganisationEntry | None:
        """Return an open organisation; None for one that was closed, or never was."""
        ...

    def above(self, organisation_id: str) -> frozenset[str]:
        """Return the ids of what it stands under, itself included."""
        ...

    def check_identity_card(self, number: str) -> str:
        """Return it in its one form. Raises `Malformed`, never with the number."""
        ...


@dataclass(frozen=True, slots=True)
class Affiliation:
    """A person at an organisation."""

    id: str
    user_id: str
    organisation: str
    capacity: Capacity
    created_at: datetime
    ends_at: datetime | None = None


class AffiliationStore(Protocol):
    """Remembers affiliations."""

    def add(self, affiliation: Affiliation) -> None:
        """Raises `Conflict` when it is there."""
        ...

    def find(self, affiliation_id: str) -> Affiliation | None: ...

    def list_of_user(self, user_id: str, now: datetime) -> Sequence[Affiliation]:
        """Return those in force, oldest first."""
        ...

    def remove(self, affiliation_id: str) -> bool: ...


class SessionsOfAccount(Protocol):
    """Ends the sessions that act for an affiliation (`authn.sessions`)."""

    def end_of_account(self, account: str, *, reason: str, actor: str) -> int: ...


class Accounts:
    """Keeps affiliations. Whoever calls it has checked who may."""

    def __init__(
        self,
        store: AffiliationStore,
        directory: Directory,
        sessions: SessionsOfAccount,
        *,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._store = store
        self.directory = directory
        self._sessions = sessions
        self._transactions = transactions
        self._audit = audit
        self._clock = clock

    def add(
        self,
        user: User,
        organisation: str,
        capacity: Capacity,
        *,
        actor: str,
        ends_at: datetime | None = None,
    ) -> Affiliation:
        """Tie a person to an organisation. Raises `NotFound`, `Conflict`, `Malformed`."""
        now = self._clock.now()
        ends_at = None if ends_at is None else ends_at.astimezone(UTC)
        if self.directory.find(organisation) is None:
            raise NotFound(f"there is no open organisation {organisation}")
        if ends_at is not None and ends_at <= now:
            raise Malformed("the affiliation would end before it begins")
        if len(self.list_of(user)) >= MOST:
            raise Conflict(f"a person has at most {MOST} affiliations")
        made = Affiliation(str(uuid.uuid4()), user.id, organisation, capacity, now, ends_at)
        with self._transactions.transaction():
            self._store.add(made)
            detail = {
                "user": user.name,
                "organisation": organisation,
                "capacity": capacity,
                "ends": None if ends_at is None else ends_at.isoformat(),
            }
            self._audit.record("affiliation.added", actor=actor, detail=detail)
        return made

    def remove(self, affiliation_id: str, *, actor: str) -> None:
        """Untie them; the sessions that act in its name end. Raises `NotFound`."""
        found = self._store.find(affiliation_id)
        if found is None:
            raise NotFound("there is no such affiliation")
        with self._transactions.transaction():
            if not self._store.remove(affiliation_id):
                raise NotFound("there is no such affiliation")  # somebody was faster
            self._sessions.end_of_account(affiliation_id, reason="affiliation", actor=actor)
            detail = {"organisation": found.organisation, "capacity": found.capacity}
            self._audit.record("affiliation.removed", actor=actor, detail={**detail})

    def list_of(self, user: User) -> Sequence[Affiliation]:
        """Return a person's affiliations in force."""
        return self._store.list_of_user(user.id, self._clock.now())

    def acting(self, user: User, account: str | None) -> Affiliation | None:
        """Return the affiliation in whose name an account acts; None: for themselves.

        Raises `NotFound` for one that is not theirs, has ended, or does not let them act.
        """
        if account is None:
            return None
        found = next((one for one in self.list_of(user) if one.id == account), None)
        closed = found is not None and self.directory.find(found.organisation) is None
        if found is None or not found.capacity.acts or closed:
            raise NotFound("you may not act for this organisation, or not any more")
        return found
