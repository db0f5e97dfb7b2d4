"""What the grant types that involve a person share: tokens of one grant, made and stored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from authn.config import AuthnConfig
from authn.logout.channels import LogoutChannels
from authn.logout.store import Channel, Participation
from authn.oidc import refresh, scopes
from authn.oidc.clientmetadata import GrantType
from authn.oidc.errors import InvalidGrant
from authn.oidc.grant import Grant
from authn.oidc.issuing import MadeToken, TokenMaker
from authn.oidc.store import Client, ClientStore, GrantStore
from authn.oidc.subjects import SubjectIdentifiers
from authn.oidc.tokenrequest import TokenRequest, TokenResponse, target
from authn.store import User, UserStore
from core.audit import AuditLog
from core.steps import Steps, apart
from core.transaction import Transactions


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

    def add_refresh_token(self, grant: Grant, request: TokenRequest) -> str | None:
        """Store a new family if the client may refresh; return its first token."""
        if GrantType.REFRESH_TOKEN not in request.client.metadata.grant_types:
            return None
        ends = self._refresh_until(grant, request)
        if scopes.OFFLINE_ACCESS in grant.scopes:
            grant = replace(grant, sid=None)
        # Only a public client's refresh token is bound to its key: others have to authenticate,
        # and may change the key (RFC 9449, 5).
        bound = request.confirmation if request.client.public else None
        token, row = refresh.begin(grant, bound, now=request.now, expires_at=ends)
        self.grants.add_refresh_token(row)
        return token

    def take_part(self, grant: Grant, client: Client) -> None:
        """Let the client hear of the end of the session that the grant came from."""
        subject = self.subjects.of_grant(grant, client)
        if grant.sid is None or subject is None:
            return
        self.channels.take_part(
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

    def record_issued(self, grant: Grant, user: User) -> None:
        """Audit that a client got tokens for a person. Refreshes are not events of their own."""
        detail = {
            "grant": grant.id,
            "client": grant.client_id,
            "user": user.name,
            "sid": grant.sid,
            "scope": grant.scope,
        }
        self.audit.record("token.issued", actor=user.name, detail=detail)

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


def check_person(user: User | None) -> User:
    """Return who a grant is of. Raises `InvalidGrant` when they may not log in any more."""
    if user is None or user.disabled:
        raise InvalidGrant("the user is gone")
    return user
