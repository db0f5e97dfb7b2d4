"""Entering an application within a session, and hearing of the session's end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import urlencode

from authn.logout.store import Channel, Participation, ParticipationStore
from core.clock import Clock
from core.steps import Statements


class LogoutChannels:
    """Remembers who takes part; queues what they are told (`authn.sessions.SessionListener`)."""

    def __init__(self, store: ParticipationStore, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._wake: Callable[[], None] = lambda: None

    def on_queued(self, wake: Callable[[], None]) -> None:
        """Have `wake` called when something was queued, a moment before it is durable."""
        self._wake = wake

    def take_part(self, participation: Participation) -> None:
        """Remember an application, in the open transaction, if it wants to hear of the end."""
        if participation.backchannel_uri or participation.frontchannel_uri:
            self._store.take_part(participation)

    def to_take_part(self, participation: Participation) -> Statements:
        """Return what does the same."""
        if participation.backchannel_uri or participation.frontchannel_uri:
            return self._store.to_take_part(participation)
        return ()

    def sessions_ended(self, sids: Sequence[str]) -> None:
        """Queue the back channel of every application, in the transaction that ends the session."""
        if self._store.close(sids, self._clock.now()):
            self._wake()

    def frontchannel_of(self, sid: str, issuer_of: Callable[[str], str | None]) -> tuple[str, ...]:
        """Return what a browser loads to log out (Front-Channel Logout 1.0, 2): iss and sid.

        `issuer_of`: who issues the tokens of the client with this id; None: nobody does any more.
        """
        found = []
        for one in self._store.list_of_session(sid):
            if one.channel is not Channel.OIDC or one.frontchannel_uri is None:
                continue
            issuer = issuer_of(one.client_id)
            if issuer is not None:
                query = urlencode({"iss": issuer, "sid": sid})
                found.append(
                    f"{one.frontchannel_uri}{'&' if '?' in one.frontchannel_uri else '?'}{query}"
                )
        return tuple(dict.fromkeys(found))
