"""A second factor that was lost: somebody else takes it away, and a one-time link enrols another.

The person cannot do it alone, or whoever has the password could. From the reset to the new factor
no login is complete: neither an old password nor another system that vouches for the person opens
anything, only the link does (`authn.setup`).
"""

from __future__ import annotations

from authn.factors_store import AttemptStore, FactorStore
from authn.levels import ONE_TIME_PASSWORD
from authn.passkeys import PasskeyStore
from authn.rolechanges import RoleChanges
from authn.store import User, UserStore
from authn.users import Users
from core.audit import AuditLog, Detail
from core.errors import Forbidden, Malformed


class FactorReset:
    """Takes a person's second factors away, with a reason."""

    def __init__(
        self,
        users: Users,
        roles: RoleChanges,
        *,
        store: UserStore,
        factors: FactorStore,
        attempts: AttemptStore,
        passkeys: PasskeyStore,
        audit: AuditLog,
    ) -> None:
        self._users = users
        self._store = store
        self._factors = factors
        self._attempts = attempts
        self._passkeys = passkeys
        self._roles = roles
        self._audit = audit

    def reset(self, user: User, *, reason: str, actor: str) -> str:
        """Return the one-time token with which the person enrols anew; sessions of theirs end.

        Generator, recovery codes and passkeys are gone; bound certificates stay: each is revoked
        on its own. Raises `Forbidden` to the person themselves, and where an administrator's new
        credential needs an approval (`RoleChanges.credential`); `Malformed` without a reason.
        """
        if actor == user.name:
            raise Forbidden("somebody else has to reset your factors")
        if not 1 <= len(reason.strip()) <= 500:
            raise Malformed("say why, in 1 to 500 characters")
        with self._roles.credential(user, actor=actor):
            had_generator = self._factors.remove_totp(user.id)
            self._factors.replace_recovery_codes(user.id, ())
            self._attempts.forgive(user.id, ONE_TIME_PASSWORD.name)
            passkeys = self._passkeys.list_of_user(user.id)
            for passkey in passkeys:
                self._passkeys.remove(passkey.id, user.id)
            self._store.set_factor_due(user.id, True)
            self._users.end_sessions(user, reason="factors", actor=actor)
            detail: Detail = {
                "user": user.name,
                "reason": reason.strip(),
                "generator": had_generator,
                "passkeys": len(passkeys),
            }
            self._audit.record("factors.reset", actor=actor, detail=detail)
            return self._users.create_setup_link(user, actor=actor)
