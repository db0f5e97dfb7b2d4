"""Users: who may log in, and how they come by their first password."""

from __future__ import annotations

import re
import unicodedata
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from authn import opaque
from authn.config import LoginConfig
from authn.passwordpolicy import PasswordPolicy
from authn.sessions import Sessions
from authn.store import User, UserStore
from core.audit import AuditLog, Detail
from core.clock import Clock
from core.errors import Malformed, NotFound
from core.identity import Role
from core.oneline import one_line
from core.transaction import Transactions

_NAME = re.compile(r"\w[\w.@-]{0,63}")
_EMAIL = re.compile(r"[^\s@]{1,64}@[^\s@]{1,189}")
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}(;ext=[0-9]{1,8})?")  # E.164, RFC 3966
_ADDRESS = re.compile(r"[^\x00-\x09\x0b-\x1f\x7f]{1,300}")


class Users:
    """Creates users and sets them up. There is no default password anywhere."""

    def __init__(
        self,
        store: UserStore,
        *,
        config: LoginConfig,
        passwords: PasswordPolicy,
        sessions: Sessions,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._config = config
        self._passwords = passwords
        self._sessions = sessions
        self._transactions = transactions
        self._audit = audit
        self._clock = clock

    def create_user(
        self,
        name: str,
        *,
        display_name: str,
        actor: str,
        email: str | None = None,
        role: Role | None = None,
    ) -> User:
        """Create a user without a password. Raises `Malformed`, `Conflict`."""
        user = self.draft(name, display_name=display_name, email=email, role=role)
        with self._transactions.transaction():
            self._store.add(user)
            detail = {"user": user.name, "id": user.id, "role": role}
            self._audit.record("user.created", actor=actor, detail=detail)
        return user

    def draft(self, name: str, *, display_name: str, email: str | None, role: Role | None) -> User:
        """Return a user who could be created, checked. Raises `Malformed`."""
        _check_email(email)
        return User(
            id=str(uuid.uuid4()),
            name=fold_name(name),
            display_name=one_line(display_name, "the display name", most=200),
            email=email,
            role=role,
            password_hash=None,
            disabled=False,
            created_at=self._clock.now(),
        )

    def change_contact(
        self, user: User, *, email: str | None, phone: str | None, address: str | None, actor: str
    ) -> User:
        """Say where a person is reached, in place of all that was known. Raises `Malformed`."""
        _check_email(email)
        if phone is not None and _PHONE.fullmatch(phone) is None:
            raise Malformed("the phone number is one like +8613800138000 or +861082345678;ext=12")
        if address is not None and (not address.strip() or _ADDRESS.fullmatch(address) is None):
            raise Malformed("the address has 1 to 300 characters, and of controls only line ends")
        known = {"email": email, "phone": phone, "address": address}
        with self._transactions.transaction():
            self._store.set_contact(user.id, **known)
            kinds = [kind for kind, value in known.items() if value is not None]
            detail: Detail = {"user": user.name, "known": " ".join(kinds)}
            self._audit.record("user.contact", actor=actor, detail=detail)
        return replace(user, email=email, phone=phone, address=address)

    def create_setup_link(self, user: User, *, actor: str) -> str:
        """Return a one-time token for ``/setup/{token}``. Earlier ones stop working."""
        drawn = opaque.draw()
        expires_at = self._clock.now() + timedelta(hours=self._config.setup_link_hours)
        with self._transactions.transaction():
            self._store.put_setup_link(drawn.digest, user.id, expires_at)
            self._audit.record(
                "setup.offered",
                actor=actor,
                detail={"user": user.name, "expires": expires_at.isoformat()},
            )
        return drawn.secret

    def find_by_setup_link(self, token: str) -> User | None:
        """Return whose link it is, while it can be used."""
        user_id = self._store.find_setup_link(opaque.digest(token), self._clock.now())
        user = None if user_id is None else self._store.find(user_id)
        return None if user is None or user.disabled else user

    def complete_setup(
        self, token: str, password: str, *, also: Callable[[User], None] | None = None
    ) -> User:
        """Set the password, once. Raises `Refused` (policy) and `NotFound` (link used or old).

        Sessions of the user end: whoever sets a new password wants the old ones gone. `also` is
        done in the same transaction; if it raises, nothing is.
        """
        user = self.find_by_setup_link(token)
        if user is None:
            raise NotFound("this setup link has been used or has expired; ask for a new one")
        hashed = self._passwords.hash_new(user, password)
        with self._transactions.transaction():
            if not self._store.use_setup_link(opaque.digest(token), self._clock.now()):
                raise NotFound("this setup link has been used or has expired; ask for a new one")
            self._passwords.keep(user, hashed)
            self._sessions.end_all(user, reason="password")
            self._audit.record("setup.completed", actor=user.name, detail={"user": user.name})
            if also is not None:
                also(user)
        return user

    def set_disabled(self, user: User, *, disabled: bool, actor: str) -> None:
        """Lock a person out, or let them in again. Their sessions end at once."""
        with self._transactions.transaction():
            self._store.set_disabled(user.id, disabled)
            if disabled:
                self._sessions.end_all(user, reason="disabled")
            action = "user.disabled" if disabled else "user.enabled"
            self._audit.record(action, actor=actor, detail={"user": user.name})

    def end_sessions(self, user: User, *, actor: str, reason: str = "administrator") -> int:
        """End every session of a user, and what the sessions gave. Returns how many."""
        return self._sessions.end_all(user, reason=reason, actor=actor)

    def get(self, user_id: str) -> User:
        """Raises `NotFound`."""
        user = self._store.find(user_id)
        if user is None:
            raise NotFound("there is no such user")
        return user

    def find_by_name(self, name: str) -> User | None:
        """Return the user of that login name."""
        try:
            return self._store.find_by_name(fold_name(name))
        except Malformed:
            return None

    def list_users(
        self,
        *,
        text: str = "",
        after: str = "",
        limit: int | None = None,
        sort: str | None = None,
    ) -> Sequence[User]:
        """Return everyone, by name or as `sort` says, behind the one with the name `after`."""
        return self._store.list_users(text=text, after=after, limit=limit, sort=sort)


def _check_email(email: str | None) -> None:
    if email is not None and _EMAIL.fullmatch(email) is None:
        raise Malformed("the email is not an address like name@example.cn")


def fold_name(name: str) -> str:
    """Return the one form of a login name: NFKC, folded case. Raises `Malformed`."""
    # Normalised again, because folding can undo it (Unicode, 3.13, D147).
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name.strip()).casefold())
    if _NAME.fullmatch(folded) is None:
        raise Malformed("a login name has 1 to 64 letters, digits or . _ @ -")
    return folded
