"""Tokens for the programs of an administrator: opaque, named, expiring, revocable."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from authn import opaque
from authn.store import APIToken, APITokenStore, User
from core.audit import AuditLog, Detail
from core.clock import Clock
from core.errors import Forbidden, Malformed, NotFound
from core.oneline import one_line
from core.transaction import Transactions

PREFIX: Final = "yx_"
"""So that people and secret scanners recognise one."""
MAX_DAYS: Final = 366


class APITokens:
    """Makes, finds and revokes API tokens."""

    def __init__(
        self,
        store: APITokenStore,
        *,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._transactions = transactions
        self._audit = audit
        self._clock = clock

    def create(self, user: User, *, name: str, days: int, actor: str) -> str:
        """Return a new token, to be shown once. Raises `Forbidden` for a user without a role."""
        if user.role is None or user.disabled:
            raise Forbidden("only administrators have API tokens")
        if not 1 <= days <= MAX_DAYS:
            raise Malformed(f"a token is good for 1 to {MAX_DAYS} days")
        drawn = opaque.draw(PREFIX)
        now = self._clock.now()
        token = APIToken(
            id=str(uuid.uuid4()),
            digest=drawn.digest,
            user_id=user.id,
            name=one_line(name, "the name of a token", most=64),
            created_at=now,
            expires_at=now + timedelta(days=days),
        )
        with self._transactions.transaction():
            self._store.add(token)
            detail: Detail = {"id": token.id, "user": user.name, "days": days}
            self._audit.record("apitoken.created", actor=actor, detail=detail)
        return drawn.secret

    def find_user(self, secret: str) -> User | None:
        """Return whose live token it is.

        What another process revoked or disabled is known here a moment later (`core.remembered`).
        """
        return self._live_owner(self._store.find_with_owner(opaque.digest(secret)))

    def recall_user(self, secret: str) -> User | None:
        """Return the same without waiting, if it was found a moment ago."""
        return self._live_owner(self._store.recall_with_owner(opaque.digest(secret)))

    def _live_owner(self, found: tuple[APIToken, User] | None) -> User | None:
        if found is None or self._clock.now() >= found[0].expires_at:
            return None
        return None if found[1].disabled else found[1]

    def list_of(self, user: User) -> Sequence[APIToken]:
        """Return the tokens of a user, oldest first."""
        return self._store.list_of_user(user.id)

    def remove_all(self, user: User) -> None:
        """Make every token of a user stop working. The caller audits why."""
        self._store.remove_of_user(user.id)

    def revoke(self, user: User, token_id: str) -> None:
        """Revoke a token of this user. Raises `NotFound`."""
        with self._transactions.transaction():
            if not self._store.remove(token_id, user.id):
                raise NotFound("there is no such token")
            detail = {"id": token_id, "user": user.name}
            self._audit.record("apitoken.revoked", actor=user.name, detail=detail)
