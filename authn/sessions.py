"""Browser sessions: a random cookie, two timeouts, one way to end."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final, Protocol

from authn import opaque
from authn.config import LoginConfig
from authn.levels import Level, Method, SessionCertificate, joined
from authn.store import Session, SessionStore, User, UserStore
from core.audit import AuditLog, Event
from core.clock import Clock
from core.errors import NotFound, Refused, Unauthenticated
from core.steps import Steps
from core.transaction import Transactions

_TOUCH_EVERY: Final = timedelta(minutes=1)
"""A session is written at most so often, however many pages a person opens."""


_BATCH: Final = 500
"""So many sessions end in one transaction."""


class SessionListener(Protocol):
    """Told, in the transaction in which sessions end, which; whatever made them end."""

    def sessions_ended(self, sids: Sequence[str]) -> None: ...


class Standards(Protocol):
    """Knows how strongly a person wants to be logged in at least."""

    def least_level(self, user: User) -> Level: ...


class Sessions:
    """Starts, finds and ends the sessions of browsers."""

    def __init__(
        self,
        store: SessionStore,
        users: UserStore,
        *,
        config: LoginConfig,
        listeners: Sequence[SessionListener],
        standards: Standards,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._users = users
        self._idle = timedelta(minutes=config.session_idle_minutes)
        self._absolute = timedelta(hours=config.session_hours)
        self._listeners = tuple(listeners)
        self._standards = standards
        self._transactions = transactions
        self._audit = audit
        self._clock = clock

    def enter(self, user: User, method: Method, *, cookie: str | None) -> str:
        """Return the cookie of a person who authenticated: always a new one.

        The session of the old `cookie` goes on, stronger, if it is theirs: then its applications
        notice nothing. Otherwise it ends and another begins. Either way a cookie planted before
        the login is worth nothing after it. Raises `Refused` for a second factor without a
        session of the same person.
        """
        known = None if cookie is None else self._find(cookie)
        if known is not None and known[1].id == user.id:
            return self._strengthen(known[0], user, method)
        if not method.alone:
            raise Refused("a second factor needs a login of the same person before it")
        return self._start(user, method, replaces=cookie)

    def _start(self, user: User, method: Method, *, replaces: str | None) -> str:
        now = self._clock.now()
        drawn = opaque.draw()
        session = Session(
            digest=drawn.digest,
            sid=str(uuid.uuid4()),
            user_id=user.id,
            auth_time=now,
            seen_at=now,
            expires_at=now + self._absolute,
            amr=joined("", method.amr),
            acr=method.level.acr,
            least=self._standards.least_level(user).acr,
        )
        with self._transactions.transaction():
            if replaces is not None:
                self.end(replaces, reason="replaced")
            self._store.add(session)
            if method.certificate is not None:
                self._store.add_certificate(session.sid, method.certificate)
            detail = {"sid": session.sid, "user": user.name, "amr": session.amr}
            self._audit.record("session.started", actor=user.name, detail=detail)
        return drawn.secret

    def _strengthen(self, session: Session, user: User, method: Method) -> str:
        drawn = opaque.draw()
        now = self._clock.now()
        stronger = replace(
            session,
            digest=drawn.digest,
            seen_at=now,
            # Whoever asks for a fresh login (max_age) means the whole of it: a code alone is not.
            auth_time=now if method.alone else session.auth_time,
            amr=joined(session.amr, method.amr),
            acr=max(session.level, method.level).acr,
        )
        with self._transactions.transaction():
            if not self._store.replace(session.digest, stronger):
                raise Refused("this session was continued elsewhere or has ended; sign in again")
            if method.certificate is not None:
                self._store.add_certificate(session.sid, method.certificate)
            detail = {"sid": session.sid, "user": user.name, "amr": stronger.amr}
            self._audit.record("session.strengthened", actor=user.name, detail=detail)
        return drawn.secret

    def switch(self, cookie: str, account: str | None) -> str:
        """Let the person act for another account; returns the cookie of the session that does.

        The session before ends, and with it whatever applications hold in the old name. Whoever
        calls has checked that the person may. Raises `Unauthenticated`.
        """
        found = self.find(cookie)
        if found is None:
            raise Unauthenticated("sign in first")
        session, user = found
        drawn = opaque.draw()
        new = replace(session, digest=drawn.digest, sid=str(uuid.uuid4()), account=account)
        with self._transactions.transaction():
            self._store.add(new)
            self._store.move_certificates(session.sid, new.sid)
            self.end_these([session.sid], reason="switched")
            detail = {"sid": new.sid, "user": user.name, "before": session.sid, "account": account}
            self._audit.record("session.switched", actor=user.name, detail=detail)
        return drawn.secret

    def list_of(self, user: User) -> Sequence[Session]:
        """Return a person's live sessions, the newest first."""
        now = self._clock.now()
        return [
            one
            for one in self._store.list_sessions(user.id)
            if now < min(one.expires_at, one.seen_at + self._idle)
        ]

    def list_live(
        self,
        user: User | None,
        *,
        client_id: str | None = None,
        after: str | None,
        limit: int,
        sort: str | None = None,
    ) -> Sequence[tuple[Session, User]]:
        """Return live sessions, of everybody or of one, those that end last first.

        `client_id`: those in which this application was entered.

        Or by `sort`: ``expires``, ``auth_time`` or ``seen``. `after`: the public name of the last
        one of the page before.
        """
        now, user_id = self._clock.now(), None if user is None else user.id
        found = self._store.list_live(
            now,
            now - self._idle,
            user_id=user_id,
            client_id=client_id,
            after=after,
            limit=limit,
            sort=sort,
        )
        people = {one: self._users.find(one) for one in {session.user_id for session in found}}
        return [(one, person) for one in found if (person := people[one.user_id]) is not None]

    def applications_of(self, sids: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Return the ids of the applications that hold something of these sessions, by session."""
        return self._store.applications_of(sids)

    def end_of_application(self, client_id: str, *, actor: str) -> int:
        """End every session in which an application was entered. Returns how many."""
        total = 0
        while sids := self._store.list_of_application(client_id, limit=_BATCH):
            ended = self.end_these(sids, reason="administrator", actor=actor)
            total += ended
            if not ended:
                break
        return total

    def end_of_everybody(self, *, actor: str) -> int:
        """End every live session there is, in batches. Returns how many."""
        total = 0
        while found := self.list_live(None, after=None, limit=_BATCH):
            sids = [session.sid for session, _ in found]
            ended = self.end_these(sids, reason="administrator", actor=actor)
            total += ended
            if not ended:
                break
        return total

    def end_one(self, sid: str, *, actor: str) -> None:
        """End a session by its public name, as an administrator. Raises `NotFound`."""
        if not self.end_these([sid], reason="administrator", actor=actor):
            raise NotFound("there is no such session")

    def end_of_account(self, account: str, *, reason: str, actor: str) -> int:
        """End the sessions that act in the name of an affiliation. Returns how many."""
        return self.end_these(self._store.list_of_account(account), reason=reason, actor=actor)

    def find(self, cookie: str | None) -> tuple[Session, User] | None:
        """Return the live session of a cookie, and its user; counts as activity.

        One that lacks the second factor of its person is not found: `find_begun` finds it.
        """
        found = self.find_begun(cookie)
        return found if found is not None and found[0].is_complete else None

    def finding(self, cookie: str | None) -> Steps[tuple[Session, User] | None]:
        """Return what `find` does, in steps."""
        if not cookie:
            return None
        known = yield from self._store.finding_with_owner(opaque.digest(cookie))
        found, now = self._live(known), self._clock.now()
        if found is not None and now >= found[0].seen_at + _TOUCH_EVERY:
            yield from self._store.touching(found[0].digest, now)
        return found if found is not None and found[0].is_complete else None

    def find_begun(self, cookie: str | None) -> tuple[Session, User] | None:
        """Return the live session of a cookie even if its second factor is still missing.

        Only for the pages that ask for that factor.
        """
        found = None if not cookie else self._find(cookie)
        if found is None:
            return None
        now = self._clock.now()
        if now >= found[0].seen_at + _TOUCH_EVERY:
            self._store.touch(found[0].digest, now)
        return found

    def _find(self, cookie: str) -> tuple[Session, User] | None:
        return self._live(self._store.find_with_owner(opaque.digest(cookie)))

    def _live(self, found: tuple[Session, User | None] | None) -> tuple[Session, User] | None:
        if found is None:
            return None
        session, user = found
        now = self._clock.now()
        if now >= session.expires_at or now >= session.seen_at + self._idle:
            return None
        return None if user is None or user.disabled else (session, user)

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

    def used_certificates(self, issuer: str, serials: Collection[str]) -> Sequence[str]:
        """Return those of these certificates (hex) on which a session stands."""
        return self._store.used_certificates(issuer, serials)

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
