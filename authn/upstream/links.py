"""Whose an identity of another system is here. No identity is ever guessed to be somebody's.

An identity is a source and the subject that the source never re-uses. It is tied to a user by that
user, logged in here a moment ago, or by making a new user for it. A name or an email address that
is the same here and there ties nothing: whoever can choose theirs elsewhere would choose their
account here. Administrators are never made, and their accounts are tied by nobody but themselves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from authn.levels import Level, Method
from authn.store import User, UserStore
from authn.users import Users, fold_name
from core import observe
from core.audit import AuditLog
from core.clock import Clock
from core.errors import Conflict, Malformed, NotFound, Unauthenticated
from core.oneline import seen
from core.transaction import Transactions

UPSTREAM = Method("upstream", ("fed",), Level.PASSWORD)
"""``fed`` is not of RFC 8176, which has no word for it; Microsoft's providers use it, too. How the
other system knew the person, we did not see."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a source says about a person who logged in there."""

    source: str
    subject: str
    name: str | None
    display_name: str | None
    email: str | None = None
    """Only if the source says that it was verified."""


@dataclass(frozen=True, slots=True)
class Link:
    """An identity, and whose it is."""

    source: str
    subject: str
    user_id: str
    created_at: datetime


class LinkStore(Protocol):
    """Remembers links."""

    def add(self, link: Link) -> None:
        """Raises `Conflict` when the identity is somebody's, or the user has one of this source."""
        ...

    def find(self, source: str, subject: str) -> Link | None: ...

    def list_of_user(self, user_id: str) -> Sequence[Link]: ...

    def remove(self, source: str, user_id: str) -> bool: ...


class Links:
    """Admits, ties and unties."""

    def __init__(
        self,
        store: LinkStore,
        users: UserStore,
        making: Users,
        *,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._users = users
        self._making = making
        self._transactions = transactions
        self._audit = audit
        self._clock = clock

    def find(self, source: str, subject: str) -> User | None:
        """Return whose an identity is."""
        link = self._store.find(source, subject)
        return None if link is None else self._users.find(link.user_id)

    def admit(self, claimed: Claimed, *, provision: bool, address: str) -> User:
        """Return the user of somebody who logged in elsewhere. Raises `Unauthenticated`."""
        user = self.find(claimed.source, claimed.subject)
        if user is None and provision and self._store.find(claimed.source, claimed.subject) is None:
            user = self._make(claimed)
        if user is None or user.disabled:
            self.refused(claimed.source, why="tied to no user", address=address)
            raise Unauthenticated(
                "this identity is tied to no account here: sign in with your account, and tie it "
                "under sign-in and security"
            )
        observe.LOGINS.labels(method="upstream", result="succeeded").inc()
        detail = {"user": user.name, "method": claimed.source, "address": address}
        self._audit.record("login.succeeded", actor=user.name, detail=detail)
        return user

    def refused(self, source: str, *, why: str, address: str) -> None:
        """Audit that somebody did not come in by a source."""
        observe.LOGINS.labels(method="upstream", result="failed").inc()
        detail = {"method": source, "address": address, "why": why}
        self._audit.record("login.failed", actor="anonymous", detail=detail)

    def link(self, user: User, claimed: Claimed) -> None:
        """Tie an identity to a user who asked for it, logged in. Raises `Conflict`."""
        with self._transactions.transaction():
            self._store.add(Link(claimed.source, claimed.subject, user.id, self._clock.now()))
            detail = {"user": user.name, "source": claimed.source}
            self._audit.record("identity.linked", actor=user.name, detail=detail)

    def unlink(self, user: User, source: str) -> None:
        """Untie it. Raises `NotFound`."""
        with self._transactions.transaction():
            if not self._store.remove(source, user.id):
                raise NotFound("no identity of this source is tied to you")
            detail = {"user": user.name, "source": source}
            self._audit.record("identity.unlinked", actor=user.name, detail=detail)

    def list_of(self, user: User) -> Sequence[Link]:
        """Return a user's links."""
        return self._store.list_of_user(user.id)

    def _make(self, claimed: Claimed) -> User | None:
        """Make a user under a name that nobody has; None when there is none."""
        for name in self._names(claimed):
            try:
                with self._transactions.transaction():
                    user = self._making.create_user(
                        name,
                        display_name=seen(claimed.display_name or "")[:200] or name,
                        email=claimed.email,
                        actor=claimed.source,
                    )
                    self._store.add(
                        Link(claimed.source, claimed.subject, user.id, self._clock.now())
                    )
                    detail = {"user": user.name, "source": claimed.source}
                    self._audit.record("identity.linked", actor=claimed.source, detail=detail)
            except (Conflict, Malformed):
                continue
            return user
        return None

    def _names(self, claimed: Claimed) -> list[str]:
        names = []
        # Without a name: one that stays the same, and tells nothing.
        base = claimed.name or hashlib.sha256(claimed.subject.encode()).hexdigest()[:12]
        for name in (base, f"{base}@{claimed.source}"):
            try:
                folded = fold_name(name)
            except Malformed:
                continue
            if self._users.find_by_name(folded) is None:
                names.append(folded)
        return names
