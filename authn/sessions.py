"""Browser sessions: a random cookie, two timeouts, one way to end."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Final, Protocol

from authn import opaque
from authn.config import LoginConfig
from authn.store import Session, SessionCertificate, SessionStore, User, UserStore
from core.audit import AuditLog, Event
from core.clock import Clock
from core.transaction import Transactions

_TOUCH_EVERY: Final = timedelta(minutes=1)
"""A session is written at most so often, however many pages a person opens."""


_BATCH: Final = 500
"""So many sessions end in one transaction."""


class SessionListener(Protocol):
    """Told, in the transaction in which sessions end, which; whatever made them end."""

    def sessions_ended(self, sids: Sequence[str]) -> None: ...


class Sessions:
    """Starts, finds and ends the sessions of browsers."""

    def __init__(
        self,
        store: SessionStore,
        users: UserStore,
        *,
        config: LoginConfig,
        listeners: Sequence[SessionListener],
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._users = users
        self._idle = timedelta(minutes=config.session_idle_minutes)
        self._absolute = timedelta(hours=config.session_hours)
        self._listeners = tuple(listeners)
        self._transactions = transactions
        self._audit = audit
        self._clock = clock

    def start(
        self,
        user: User,
        *,
        amr: str,
        acr: str,
        replaces: str | None,
        certificate: SessionCertificate | None = None,
    ) -> str:
        """Return the cookie of a new session.

        Never continues the session `replaces`: it ends, so that a cookie planted before the
        login is worth nothing after it. A session that stands on a `certificate` ends with it.
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
            if certificate is not None:
                self._store.add_certificate(session.sid, certificate)
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
        if session is not None:
            self.end_these([session.sid], reason=reason)

    def end_all(self, user: User, *, reason: str, actor: str | None = None) -> int:
        """End every session of a user. Returns how many. `actor`: who does, if not the user."""
        with self._transactions.transaction():
            sids = self._store.list_of_user(user.id)
            return self.end_these(sids, reason=reason, actor=actor)

    def end_timed_out(self) -> int:
        """End what was idle too long or has lasted too long. Returns how many sessions that were.

        `find` refuses them without it; this is how the applications hear of it.
        """
        total = 0
        while True:
            now = self._clock.now()
            sids = self._store.list_timed_out(now, now - self._idle, limit=_BATCH)
            total += self.end_these(sids, reason="timeout")
            if len(sids) < _BATCH:
                return total

    def end_of_certificates(self, issuer: str, serials: Collection[str] | None) -> int:
        """End the sessions that stand on these certificates (hex); None: on any of the issuer.

        Returns how many sessions that were.
        """
        total = 0
        while True:
            sids = self._store.list_by_certificates(issuer, serials, limit=_BATCH)
            total += self.end_these(sids, reason="certificate")
            if len(sids) < _BATCH:
                return total

    def list_certificates(self) -> Sequence[SessionCertificate]:
        """Return every certificate that a session stands on, once."""
        return self._store.list_certificates()

    def end_these(self, sids: Sequence[str], *, reason: str, actor: str | None = None) -> int:
        """End sessions by their public names: the one way in which a session ends.

        What they gave, and the messages to applications, go or are queued in the same transaction.
        Returns how many were still there.
        """
        if not sids:
            return 0
        with self._transactions.transaction():
            ended = self._store.remove(sorted(sids))
            # Every row first, and the audit log last: its head is locked from the first event to
            # the end, and the token endpoint locks rows before it too.
            if ended:
                for listener in self._listeners:
                    listener.sessions_ended([one.sid for one in ended])
                self._audit.record_all(
                    [
                        Event(
                            "session.ended",
                            actor or one.user,
                            {"sid": one.sid, "user": one.user, "reason": reason},
                        )
                        for one in ended
                    ]
                )
        return len(ended)
