"""Forward authentication: a proxy in front of an application asks us about each request.

The application's host is not ours, so our cookie does not reach it. The proxy hands
``/.yinxin/…`` of that host to us: there the browser comes back from the login with a ticket, and
gets a pass, a cookie of the application's own host. The pass ends with the session, at once.
"""

from __future__ import annotations

import hmac
from datetime import timedelta
from typing import Final

from authn import opaque
from authn.config import LoginConfig
from authn.legacy.entry import Entry
from authn.legacy.store import EntryStore, Pass
from authn.store import User, UserStore
from core.clock import Clock

PREFIX: Final = "yxt_"
_TOUCH_EVERY: Final = timedelta(minutes=1)


class Gate:
    """Changes tickets into passes, and knows whose pass it is."""

    def __init__(
        self,
        store: EntryStore,
        entry: Entry,
        users: UserStore,
        *,
        config: LoginConfig,
        clock: Clock,
    ) -> None:
        self._store = store
        self._entry = entry
        self._users = users
        self._lifetime = timedelta(hours=config.session_hours)
        self._idle = timedelta(minutes=config.session_idle_minutes)
        self._clock = clock

    def enter(self, ticket: str, origin: str) -> str | None:
        """Return the cookie of a new pass; None when the ticket is not good at this origin."""
        admitted = self._entry.redeem(ticket, origin)
        if admitted is None:
            return None
        drawn = opaque.draw()
        self._store.add_pass(
            Pass(
                digest=drawn.digest,
                client_id=admitted.client.id,
                user_id=admitted.user.id,
                sid=admitted.ticket.sid,
                expires_at=admitted.ticket.auth_time + self._lifetime,
            )
        )
        return drawn.secret

    def who(self, cookie: str | None, origin: str) -> User | None:
        """Return who shows this pass at this origin; None: nobody that may enter."""
        if not cookie:
            return None
        found, now = self._store.find_pass(opaque.digest(cookie)), self._clock.now()
        if found is None:
            return None
        shown, seen_at = found
        if now >= shown.expires_at or now >= seen_at + self._idle:
            return None
        if self._entry.client_of(origin).id != shown.client_id:
            return None
        user = self._users.find(shown.user_id)
        if user is None or user.disabled:
            return None
        if now >= seen_at + _TOUCH_EVERY:
            self._store.touch_session(shown.sid, now)
        return user


def state_of(secret: str, path: str) -> str:
    """Return what ties the way back to the browser that set out, and to where it wanted to go."""
    return hmac.new(secret.encode(), path.encode(), "sha256").hexdigest()
