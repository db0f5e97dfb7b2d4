"""Browser sessions: a random cookie, two timeouts, one way to end."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Final, Protocol

from authn import opaque
from authn.config import LoginConfig
from authn.store import Session, SessionStore, User, UserStore
from core.audit import AuditLog
from core.clock import Clock
from core.transaction import Transactions

_TOUCH_EVERY: Final = timedelta(minutes=1)
"""A session is written at most so often, however many pages a person opens."""


class SessionEnded(Protocol):
    """Told whenever a session ends by an act (not when it times out unseen)."""

    def session_ended(self, sid: str) -> None: ...


class Sessions:
    """Starts, finds and ends the sessions of browsers."""

    def __init__(
        self,
        store: SessionStore,
        users: UserStore,
        *,
        config: LoginConfig,
        listener: SessionEnded,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._users = users
        self._idle = timedelta(minutes=config.session_idle_minutes)
        self._absolute = timedelta(hours=config.session_hours)
        self._listener = listener
        self._transactions = transactions
        self._audit = audit
        self._clock = clock

    def start(self, user: User, *, amr: str, acr: str, replaces: str | None) -> str:
        """Return the cookie of a new session.

        Never continues the session `replaces`: it ends, so that a cookie planted before the
        login is worth nothing after it.
        """
        now = self._clock.now()
        drawn = opaque.draw()
        session = Session(
            digest=drawn.digest,
            sid=str(uuid.uuid4()),
            user_id=user.id,
            auth_time=now,
            seen_at=now,
            expires_at=now + self._absolute,
            amr=amr,
            acr=acr,
        )
        with self._transactions.transaction():
            if replaces is not None:
                self.end(replaces, reason="replaced")
            self._store.add(session)
            detail = {"sid": session.sid, "user": user.name, "amr": amr}
            self._audit.record("session.started", actor=user.name, detail=detail)
        return drawn.secret

    def find(self, cookie: str | None) -> tuple[Session, User] | None:
        """Return the live session of a cookie, and its user; counts as activity."""
        if not cookie:
            return None
        session = self._store.find(opaque.digest(cookie))
        if session is None:
            return None
        now = self._clock.now()
        if now >= session.expires_at or now >= session.seen_at + self._idle:
            return None
        user = self._users.find(session.user_id)
        if user is None or user.disabled:
            return None
        if now >= session.seen_at + _TOUCH_EVERY:
            self._store.touch(session.digest, now)
        return session, user

    def end(self, cookie: str, *, reason: str = "logout") -> None:
        """End the session of a cookie, if there is one."""
        session = self._store.find(opaque.digest(cookie))
        if session is None:
            return
        user = self._users.find(session.user_id)
        name = session.user_id if user is None else user.name
        with self._transactions.transaction():
            if self._store.remove(session.digest):
                self._listener.session_ended(session.sid)
                self._record_end(session.sid, name, reason)

    def end_all(self, user: User, *, reason: str) -> None:
        """End every session of a user."""
        with self._transactions.transaction():
            sids = self._store.remove_of_user(user.id)
            # Every row first, and the audit log last: its head is locked from the first event to
            # the end, and the token endpoint locks rows before it too.
            for sid in sids:
                self._listener.session_ended(sid)
            for sid in sids:
                self._record_end(sid, user.name, reason)

    def _record_end(self, sid: str, name: str, reason: str) -> None:
        detail = {"sid": sid, "user": name, "reason": reason}
        self._audit.record("session.ended", actor=name, detail=detail)
