"""Changing one's own password: the old one once more, then everything it opened ends."""

from __future__ import annotations

from authn.login import PasswordLogin
from authn.passwordpolicy import PasswordPolicy
from authn.sessions import Sessions
from authn.store import User
from core.audit import AuditLog
from core.transaction import Transactions


class PasswordChange:
    """What a person does at ``/login/password``, whether the old one has expired or not."""

    def __init__(
        self,
        login: PasswordLogin,
        policy: PasswordPolicy,
        sessions: Sessions,
        *,
        transactions: Transactions,
        audit: AuditLog,
    ) -> None:
        self._login = login
        self._policy = policy
        self._sessions = sessions
        self._transactions = transactions
        self._audit = audit

    def change(self, name: str, old: str, new: str, *, address: str) -> User:
        """Replace the password; every session of the person ends.

        Raises `Throttled` and `Unauthenticated` as a login does, `Refused` for a new password
        that the policy does not take.
        """
        user = self._login.authenticate(name, old, address=address)
        hashed = self._policy.hash_new(user, new)
        with self._transactions.transaction():
            self._policy.keep(user, hashed)
            self._sessions.end_all(user, reason="password")
            self._audit.record("password.changed", actor=user.name, detail={"user": user.name})
        return user
