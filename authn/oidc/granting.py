"""What the grant types that involve a person share: tokens of one grant, made and stored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from authn.config import AuthnConfig
from authn.logout.channels import LogoutChannels
from authn.logout.store import Channel, Participation
from authn.oidc import refresh, scopes
from authn.oidc.clientmetadata import GrantType
from authn.oidc.errors import InvalidGrant
from authn.oidc.grant import Grant
from authn.oidc.issuing import MadeToken, TokenMaker
from authn.oidc.store import Client, ClientStore, GrantStore, RefreshToken
from authn.oidc.subjects import SubjectIdentifiers
from authn.oidc.tokenrequest import TokenRequest, TokenResponse, target
from authn.store import User, UserStore
from core.audit import AuditLog, Event
from core.steps import Statements, Steps, apart
from core.transaction import Transactions


class Given(NamedTuple):
    """What a grant gives, before it is stored."""

    grant: Grant
    user: User
    made: MadeToken
    request: TokenRequest
    refresh_token: str | None
    rows: Statements
    event: Event


@dataclass(frozen=True, slots=True)
class Granting:
    """The parts that a grant type works with."""

    clients: ClientStore
    grants: GrantStore
    users: UserStore
    maker: TokenMaker
    subjects: SubjectIdentifiers
    channels: LogoutChannels
    config: AuthnConfig
    transactions: Transactions
    audit: AuditLog

    def person(self, grant: Grant) -> User:
        """Return whose grant it is. Raises `InvalidGrant` when they may not log in any more."""
        return check_person(None if grant.user_id is None else self.users.find(grant.user_id))

    def access_token(self, grant: Grant, request: TokenRequest) -> MadeToken:
        """Make an access token for the resource that the request names, and do not store it."""
        resource = target(self.clients, grant.resources, request.resources)
        return self.maker.access_token(
            grant, request.client, resource, request.confirmation, now=request.now
        )

    def making_token(self, grant: Grant, request: TokenRequest) -> Steps[MadeToken]:
        """Make it as `access_token` does, in steps."""
        if grant.resources or request.resources:  # to be looked up, and a JWT to be signed
            return (yield from apart(partial(self.access_token, grant, request)))
        return self.access_token(grant, request)

    def giving(
        self,
        used: Statements,
        grant: Grant,
        user: User,
        made: MadeToken,
        request: TokenRequest,
        *,
        nonce: str | None = None,
    ) -> Steps[TokenResponse | None]:
        """Store what a grant gives and return the token response, in steps.

        It is stored, with an event, exactly if `used` changes a row; None: it did not, and nothing
        was done.
        """
        if self.subjects.at_once(request.client):
            given = self.given(grant, user, made, request)
        else:
            given = yield from apart(partial(self.given, grant, user, made, request))
        stands = yield from self.audit.recording(
            given.event, [*used, *given.rows], lambda ran: bool(ran[0].changed == 1)
        )
        return (yield from self.answering(given, nonce=nonce)) if stands else None

    def answering(self, given: Given, *, nonce: str | None = None) -> Steps[TokenResponse]:
        """Return the token response, in steps, when what is given is stored.

        The ID token is signed last and outside the transaction, so that a slow token device does
        not hold the database. If it fails what was used is spent, and the client starts again.
        """
        id_token = yield from self.making_id_token(
            given.grant, given.user, given.made, given.request, nonce=nonce
        )
        return self.answer(given.made, id_token=id_token, refresh_token=given.refresh_token)

    def gives_at_once(self, request: TokenRequest) -> bool:
        """Whether what a grant gives can be made while the audit log is locked.

        That is: without waiting, unless the grant has resources.
        """
        return not request.resources and self.subjects.at_once(request.client)

    def given(
        self,
        grant: Grant,
        user: User,
        made: MadeToken,
        request: TokenRequest,
        *,
        entered: bool = False,
    ) -> Given:
        """Return what a grant gives, with a refresh token if the client may refresh.

        `entered`: the client takes part in the session already. Otherwise that is among the rows:
        it may be written or removed by others at the moment, who wait for the audit log, so those
        rows are not to be written while that is locked.
        """
        token, rows = None, [*self.grants.to_add_token(made.row)]
        if GrantType.REFRESH_TOKEN in request.client.metadata.grant_types:
            token, family = self._family(grant, request)
            rows += self.grants.to_add_refresh_token(family)
        if not entered:
            rows += self._participation(grant, request.client)
        return Given(grant, user, made, request, token, rows, _issued(grant, user))

    def _family(self, grant: Grant, request: TokenRequest) -> tuple[str, RefreshToken]:
        ends = self._refresh_until(grant, request)
        if scopes.OFFLINE_ACCESS in grant.scopes:
            grant = replace(grant, sid=None)
        # Only a public client's refresh token is bound to its key: others have to authenticate,
        # and may change the key (RFC 9449, 5).
        bound = request.confirmation if request.client.public else None
        return refresh.begin(grant, bound, now=request.now, expires_at=ends)

    def _participation(self, grant: Grant, client: Client) -> Statements:
        """Let the client hear of the end of the session that the grant came from."""
        subject = self.subjects.of_grant(grant, client)
        if grant.sid is None or subject is None:
            return ()
        return self.channels.to_take_part(
            Participation(
                sid=grant.sid,
                client_id=client.id,
                ticket="",
                channel=Channel.OIDC,
                subject=subject,
                backchannel_uri=client.metadata.backchannel_logout_uri,
                frontchannel_uri=client.metadata.frontchannel_logout_uri,
            )
        )

    def _refresh_until(self, grant: Grant, request: TokenRequest) -> datetime:
        longest = request.now + timedelta(days=self.config.oidc.refresh_token_days)
        if scopes.OFFLINE_ACCESS in grant.scopes or grant.auth_time is None:
            return longest
        # Not longer than the session can live that gave it.
        session = grant.auth_time + timedelta(hours=self.config.login.session_hours)
        return min(longest, session)

    def answer(
        self, made: MadeToken, *, id_token: str | None = None, refresh_token: str | None = None
    ) -> TokenResponse:
        """Return the token response (RFC 6749, 5.1)."""
        answer: dict[str, Any] = {
            "access_token": made.secret,
            "token_type": made.row.type,
            "expires_in": self.maker.access_seconds,
            "scope": made.row.grant.scope,
        }
        if refresh_token is not None:
            answer["refresh_token"] = refresh_token
        if id_token is not None:
            answer["id_token"] = id_token
        return answer

    def making_id_token(
        self,
        grant: Grant,
        user: User,
        made: MadeToken,
        request: TokenRequest,
        *,
        nonce: str | None = None,
    ) -> Steps[str | None]:
        """Make it as `id_token` does, in steps."""
        make = partial(self.id_token, grant, user, made, request, nonce=nonce)
        if scopes.OPENID in grant.scopes and not self.maker.signs_at_once(request.client):
            return (yield from apart(make))
        return make()

    def id_token(
        self,
        grant: Grant,
        user: User,
        made: MadeToken,
        request: TokenRequest,
        *,
        nonce: str | None = None,
    ) -> str | None:
        """Return the ID token of a grant with the scope openid."""
        if scopes.OPENID not in grant.scopes:
            return None
        client = request.client
        return self.maker.id_token(
            grant,
            client,
            access_token=made.secret,
            nonce=nonce,
            extra=scopes.in_id_token(grant, user, client.scopes),
            now=request.now,
        )


def _issued(grant: Grant, user: User) -> Event:
    """That a client got tokens for a person. Refreshes are not events of their own."""
    detail = {
        "grant": grant.id,
        "client": grant.client_id,
        "user": user.name,
        "sid": grant.sid,
        "scope": grant.scope,
    }
    return Event("token.issued", actor=user.name, detail=detail)


def check_person(user: User | None) -> User:
    """Return who a grant is of. Raises `InvalidGrant` when they may not log in any more."""
    if user is None or user.disabled:
        raise InvalidGrant("the user is gone")
    return user
