"""Entering an application by another protocol: the same sessions, prompts and policies.

An application is a client like any other; its `metadata` says at which addresses it is entered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from authn import opaque
from authn.legacy.services import entries_of
from authn.legacy.store import EntryStore, Ticket
from authn.logout.channels import LogoutChannels
from authn.logout.store import Channel, Participation
from authn.oidc.authorize import AuthorizationEndpoint
from authn.oidc.interaction import Missing
from authn.oidc.scopes import OPENID
from authn.oidc.store import Client, ClientStore
from authn.store import Session, User, UserStore
from core.audit import AuditLog
from core.clock import Clock
from core.errors import Forbidden, NotFound, Unauthenticated
from core.transaction import Transactions

_LIFETIME: Final = timedelta(seconds=30)
"""Of a ticket: one redirect, and one call of the application."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """Who a ticket was for."""

    user: User
    ticket: Ticket
    client: Client


class UnknownApplication(NotFound):
    """Nobody registered the address that a person came from."""


class EntryLost(Forbidden):
    """A ticket was too old or was used, or came back to another browser; `again`: try there."""

    def __init__(self, again: str) -> None:
        super().__init__("the ticket is not good any more, or not here; open the application again")
        self.again = again


class Entry:
    """Gives out tickets, and takes each back once."""

    def __init__(
        self,
        store: EntryStore,
        clients: ClientStore,
        users: UserStore,
        authorization: AuthorizationEndpoint,
        channels: LogoutChannels,
        *,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._clients = clients
        self._users = users
        self._authorization = authorization
        self._channels = channels
        self._transactions = transactions
        self._audit = audit
        self._clock = clock

    def client_of(self, origin: str) -> Client:
        """Return who is behind a proxy at this very origin. Raises `UnknownApplication`."""
        client = self._clients.find_entry(origin)
        if client is None or origin not in client.metadata.gate_origins:
            raise UnknownApplication("this application is not registered here")
        return client

    def client_of_service(self, service: str) -> Client:
        """Return whose service of CAS it is. Raises `UnknownApplication`."""
        for entry in entries_of(service):
            client = self._clients.find_entry(entry)
            if client is not None and entry not in client.metadata.gate_origins:
                return client
        raise UnknownApplication("this application is not registered here")

    def missing(
        self,
        client: Client,
        session: tuple[Session, User] | None,
        *,
        fresh: bool = False,
        sent: str | None = None,
    ) -> Missing | None:
        """Return what the person still has to do; None: they may enter. Raises `OAuthError`."""
        return self._authorization.missing_for(client, OPENID, session, fresh=fresh, sent=sent)

    def mark_sent(self, client: Client, session: tuple[Session, User] | None) -> str:
        """Return what tells, when the person comes back, since when they were sent to log in."""
        return self._authorization.mark_sent(client, session)

    def give(
        self,
        client: Client,
        address: str,
        session: Session,
        user: User,
        *,
        prefix: str,
        fresh: bool = False,
    ) -> str:
        """Return a ticket for the application at `address`. Raises `Unauthenticated`."""
        drawn = opaque.draw_ticket(prefix)
        ticket = Ticket(
            digest=drawn.digest,
            client_id=client.id,
            address=address,
            user_id=user.id,
            sid=session.sid,
            auth_time=session.auth_time,
            fresh=fresh,
            expires_at=self._clock.now() + _LIFETIME,
        )
        with self._transactions.transaction():
            if not self._store.add_ticket(ticket):
                raise Unauthenticated("the session has ended meanwhile; sign in again")
            detail = {"client": client.id, "user": user.name, "sid": session.sid}
            self._audit.record("ticket.issued", actor=user.name, detail=detail)
        return drawn.secret

    def redeem(self, secret: str, address: str, *, told: bool = False) -> Admitted | None:
        """Return whose ticket it is, once; None for any that is not good at this address.

        `told`: the application hears, at `address`, of the end of the session, by this ticket. It
        is kept in clear for that from now on, when it is worth nothing any more.
        """
        with self._transactions.transaction():
            admitted = self._redeemed(secret, address)
            if admitted is not None and told:
                self._channels.take_part(
                    Participation(
                        sid=admitted.ticket.sid,
                        client_id=admitted.client.id,
                        ticket=secret,
                        channel=Channel.CAS,
                        subject=admitted.user.name,
                        backchannel_uri=address,
                        frontchannel_uri=None,
                    )
                )
        return admitted

    def _redeemed(self, secret: str, address: str) -> Admitted | None:
        ticket = self._store.take_ticket(opaque.digest(secret))
        if ticket is None or ticket.address != address or self._clock.now() >= ticket.expires_at:
            return None
        user, client = self._users.find(ticket.user_id), self._clients.find(ticket.client_id)
        if user is None or user.disabled or client is None:
            return None
        return Admitted(user, ticket, client)


class EntriesEnded:
    """Forgets what sessions gave to older protocols (`authn.sessions.SessionListener`)."""

    def __init__(self, store: EntryStore) -> None:
        self._store = store

    def sessions_ended(self, sids: Sequence[str]) -> None:
        """Forget it, in the transaction that ends the sessions."""
        self._store.remove_sessions(sids)
