"""Counting answers before they are judged: by source address, and by person and factor."""

from __future__ import annotations

import math
from datetime import timedelta

from authn.config import LoginConfig
from authn.factors_store import AttemptStore
from authn.login import Throttle
from authn.store import User
from core import observe
from core.audit import AuditLog
from core.clock import Clock
from core.errors import Throttled, Unauthenticated
from core.transaction import Transactions


class Attempts:
    """Every check of a factor charges here first, and settles here afterwards."""

    def __init__(
        self,
        store: AttemptStore,
        *,
        throttle: Throttle,
        config: LoginConfig,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._throttle = throttle
        self._config = config
        self._transactions = transactions
        self._audit = audit
        self._clock = clock

    def charge(self, user: User, factor: str, *, address: str) -> None:
        """Count an answer. Raises `Throttled` when the address or the factor is locked."""
        with self._transactions.transaction():
            self._throttle.charge(address)
            wait = self.count(user, factor)
        if wait:
            # Only who has shown another factor gets here, so saying so tells nobody anything.
            self._refuse(user, factor, address)
            raise Throttled("too many wrong answers to this factor", retry_after=wait)

    def count(self, user: User, factor: str) -> int:
        """Count an answer whose address is counted elsewhere.

        Returns for how many seconds the factor is locked already; 0: it is not.
        """
        now = self._clock.now()
        locked = self._store.charge(
            user.id,
            factor,
            now,
            limit=self._config.failures_before_lock,
            locked_until=now + timedelta(minutes=self._config.lock_minutes),
        )
        return 0 if locked is None else math.ceil((locked - now).total_seconds())

    def succeeded(self, user: User, factor: str, *, address: str) -> None:
        """Forgive what came before, and audit. Call it inside the transaction of the success."""
        with self._transactions.transaction():
            self._throttle.refund(address)
            self._store.forgive(user.id, factor)
            detail = {"user": user.name, "method": factor, "address": address}
            self._audit.record("login.succeeded", actor=user.name, detail=detail)
        observe.LOGINS.labels(method=factor, result="succeeded").inc()

    def forgive(self, user: User, factor: str) -> None:
        """Forgive what `count` counted; the caller audits the success itself."""
        self._store.forgive(user.id, factor)

    def failed(self, user: User, factor: str, *, address: str, why: str) -> Unauthenticated:
        """Audit a wrong answer; returns the error to raise."""
        self._refuse(user, factor, address)
        return Unauthenticated(why)

    def _refuse(self, user: User, factor: str, address: str) -> None:
        observe.LOGINS.labels(method=factor, result="failed").inc()
        detail = {"user": user.name, "method": factor, "address": address}
        self._audit.record("login.failed", actor=user.name, detail=detail)
