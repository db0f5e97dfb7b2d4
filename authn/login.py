"""Logging in with a password: throttled by source, locked by user, one answer for every fault."""

from __future__ import annotations

from datetime import timedelta

from authn.config import LoginConfig
from authn.passwords import PasswordHasher
from authn.store import AddressStore, User, UserStore
from authn.users import fold_name
from core import observe
from core.audit import AuditLog
from core.clock import Clock
from core.errors import Malformed, Throttled, Unauthenticated
from core.transaction import Transactions


class Throttle:
    """Limits failed attempts by source address; the count survives a restart."""

    def __init__(self, store: AddressStore, *, config: LoginConfig, clock: Clock) -> None:
        self._store = store
        self._burst = config.failures_per_address_per_minute
        self._seconds = max(1, 60 // self._burst)
        self._clock = clock

    def charge(self, address: str) -> None:
        """Count an attempt before it is judged. Raises `Throttled`."""
        wait = self._store.charge(
            address[:64], self._clock.now(), burst=self._burst, seconds=self._seconds
        )
        if wait:
            raise Throttled("too many attempts from your address", retry_after=wait)

    def refund(self, address: str) -> None:
        """Take the attempt back: a whole office behind one address may log in at nine."""
        self._store.refund(address[:64], seconds=self._seconds)


class PasswordLogin:
    """Turns a name and a password into a user."""

    def __init__(
        self,
        store: UserStore,
        *,
        throttle: Throttle,
        hasher: PasswordHasher,
        config: LoginConfig,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._throttle = throttle
        self._hasher = hasher
        self._config = config
        self._transactions = transactions
        self._audit = audit
        self._clock = clock

    @property
    def locks(self) -> tuple[int, int]:
        """How many wrong passwords lock a user, and for how many minutes: whoever it is."""
        return self._config.failures_before_lock, self._config.lock_minutes

    def authenticate(self, name: str, password: str, *, address: str) -> User:
        """Return the user. Raises `Throttled`, and `Unauthenticated` for everything else.

        Unknown, disabled, not set up, locked and wrong all look and last the same.
        """
        # Address and user are charged in one transaction: one write to the disk whether the user
        # exists or not, because a second one can be seen in the time of the answer.
        with self._transactions.transaction():
            self._throttle.charge(address)
            user = self._find(name)
            usable = user is not None and not user.disabled and user.password_hash is not None
            judged = user if user is not None and usable and self._charge(user) else None
        # The hash is computed outside any transaction: it takes long, and writers would queue.
        right = self._hasher.matches(password, None if judged is None else judged.password_hash)
        if judged is None or not right:
            self._record_failure(user, address)
            raise Unauthenticated("the name or the password is wrong, or the user is locked")
        with self._transactions.transaction():
            self._throttle.refund(address)  # first, as it is charged first: rows in one order
            self._store.forgive_attempts(judged.id)
            detail = {"user": judged.name, "method": "password", "address": address}
            self._audit.record("login.succeeded", actor=judged.name, detail=detail)
        observe.LOGINS.labels(method="password", result="succeeded").inc()
        return judged

    def _find(self, name: str) -> User | None:
        try:
            return self._store.find_by_name(fold_name(name))
        except Malformed:
            return None

    def _charge(self, user: User) -> bool:
        now = self._clock.now()
        return self._store.charge_attempt(
            user.id,
            now,
            limit=self._config.failures_before_lock,
            locked_until=now + timedelta(minutes=self._config.lock_minutes),
        )

    def _record_failure(self, user: User | None, address: str) -> None:
        observe.LOGINS.labels(method="password", result="failed").inc()
        # An unknown name is not written down: people type their password into the wrong field.
        known = None if user is None else user.name
        detail = {"user": known, "method": "password", "address": address}
        self._audit.record("login.failed", actor=known or "anonymous", detail=detail)
