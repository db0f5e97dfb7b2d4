"""Which passwords are taken, and for how long (NIST SP 800-63B, 5.1.1.2).

Length is what counts; rules about kinds of characters are left out on purpose.
"""

from __future__ import annotations

import uuid
from collections.abc import Container, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from authn.config import PasswordConfig
from authn.passwords import MAX_CHARACTERS, PasswordHasher
from authn.store import User, UserStore
from core.clock import Clock
from core.errors import Refused


class PasswordHistory(Protocol):
    """Remembers the hashes of earlier passwords."""

    def add(self, row_id: str, user_id: str, password_hash: str, set_at: datetime) -> None: ...

    def newest(self, user_id: str, limit: int) -> Sequence[str]:
        """Return hashes, the newest first."""
        ...

    def last_set_at(self, user_id: str) -> datetime | None: ...

    def forget_older(self, user_id: str, keep: int) -> None: ...


class PasswordPolicy:
    """Judges new passwords, and remembers them."""

    def __init__(
        self,
        users: UserStore,
        history: PasswordHistory,
        *,
        config: PasswordConfig,
        hasher: PasswordHasher,
        breached: Container[str],
        clock: Clock,
    ) -> None:
        self._users = users
        self._history = history
        self._config = config
        self._hasher = hasher
        self._breached = breached
        self._clock = clock

    def hash_new(self, user: User, password: str) -> str:
        """Return the hash of a password that may be chosen. Raises `Refused` with the reason.

        Slow (Argon2id, once for each remembered password): not for inside a transaction.
        """
        check_form(password, user_name=user.name, least=self._config.min_characters)
        if password in self._breached:
            raise Refused("the password is in a list of passwords that became public")
        for earlier in self._earlier(user):
            if self._hasher.matches(password, earlier):
                raise Refused(
                    f"it is one of your last {self._config.history} passwords; choose another"
                )
        return self._hasher.hash(password)

    def keep(self, user: User, hashed: str) -> None:
        """Make a hash the user's password. Call it inside a transaction."""
        self._users.set_password(user.id, hashed)
        self._history.add(str(uuid.uuid4()), user.id, hashed, self._clock.now())
        self._history.forget_older(user.id, max(1, self._config.history))

    def has_expired(self, user: User) -> bool:
        """Tell whether the password has to be changed before the person goes on."""
        if self._config.max_age_days is None:
            return False
        set_at = self._history.last_set_at(user.id) or user.created_at
        return self._clock.now() >= set_at + timedelta(days=self._config.max_age_days)

    def _earlier(self, user: User) -> Sequence[str]:
        if self._config.history == 0:
            return ()
        kept = self._history.newest(user.id, self._config.history)
        # Set before passwords were remembered: the one in force counts all the same.
        return kept or [user.password_hash] if user.password_hash is not None else kept


def check_form(password: str, *, user_name: str, least: int) -> None:
    """Refuse what is too short, too long, repetitive or the user's own name. Raises `Refused`."""
    if not least <= len(password) <= MAX_CHARACTERS:
        raise Refused(f"a password has {least} to {MAX_CHARACTERS} characters")
    if user_name.casefold() in password.casefold() and len(password) < len(user_name) + 8:
        raise Refused("the password is mostly the user name; choose another")
    if len(set(password)) < 5:
        raise Refused("the password repeats the same few characters; choose another")
