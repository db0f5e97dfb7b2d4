"""What people agreed to tell applications, until they take it back."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from authn.store import Session, User
from core.audit import AuditLog, Detail
from core.clock import Clock
from core.errors import NotFound
from core.steps import Steps
from core.transaction import Transactions

SENSITIVE: Final = frozenset({"identity"})
"""Scopes that nobody releases without having been asked (PIPL, 29)."""


@dataclass(frozen=True, slots=True)
class Consent:
    """What one person lets one application know, in the name of one account."""

    user_id: str
    client_id: str
    account: str
    """The affiliation; empty: the person's own."""
    scope: str
    granted_at: datetime

    @property
    def scopes(self) -> frozenset[str]:
        """The scope as a set."""
        return frozenset(self.scope.split())


class ConsentStore(Protocol):
    """Remembers consents, and takes away what they gave."""

    def put(self, consent: Consent) -> None:
        """Replace what was agreed with this application, if anything."""
        ...

    def find(self, user_id: str, client_id: str, account: str) -> Consent | None: ...

    def finding(self, user_id: str, client_id: str, account: str) -> Steps[Consent | None]:
        """Find it, in steps."""
        ...

    def list_of_user(self, user_id: str) -> Sequence[Consent]: ...

    def remove(self, user_id: str, client_id: str) -> bool: ...

    def holding(self, user_id: str) -> AbstractSet[str]:
        """Return the clients of which `end_tokens` would remove something."""
        ...

    def end_tokens(self, user_id: str, client_id: str) -> int:
        """Remove every code and token that the person gave the client. Returns how many."""
        ...


class Consents:
    """Gives and takes back."""

    def __init__(
        self,
        store: ConsentStore,
        *,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._transactions = transactions
        self._audit = audit
        self._clock = clock

    def find(self, session: Session, client_id: str) -> Consent | None:
        """Return what this account agreed to."""
        return self._store.find(session.user_id, client_id, session.account or "")

    def finding(self, session: Session, client_id: str) -> Steps[Consent | None]:
        """Return what `find` does, in steps."""
        return self._store.finding(session.user_id, client_id, session.account or "")

    def give(self, session: Session, user: User, client_id: str, scope: str) -> None:
        """Agree, besides what was agreed before."""
        known = self.find(session, client_id)
        names = frozenset(scope.split()) | (frozenset() if known is None else known.scopes)
        merged = " ".join(sorted(names))
        with self._transactions.transaction():
            self._store.put(
                Consent(user.id, client_id, session.account or "", merged, self._clock.now())
            )
            detail = {"user": user.name, "client": client_id, "scope": merged}
            self._audit.record("consent.given", actor=user.name, detail=detail)

    def withdraw(self, user: User, client_id: str) -> None:
        """Take back everything from one application; its tokens of this person end.

        Raises `NotFound` when nothing was agreed and it has no token.
        """
        with self._transactions.transaction():
            known = self._store.remove(user.id, client_id)
            ended = self._store.end_tokens(user.id, client_id)
            if not known and not ended:
                raise NotFound("this application has nothing of yours")
            detail: Detail = {"user": user.name, "client": client_id, "tokens": ended}
            self._audit.record("consent.withdrawn", actor=user.name, detail=detail)

    def holding(self, user: User) -> AbstractSet[str]:
        """Return the ids of the applications that hold something which `withdraw` would end."""
        return self._store.holding(user.id)

    def list_of(self, user: User) -> Sequence[Consent]:
        """Return what a person agreed to."""
        return self._store.list_of_user(user.id)
