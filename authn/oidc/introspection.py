"""Introspection (RFC 7662) and revocation (RFC 7009): tokens as other programs see them."""

from __future__ import annotations

from typing import Any

from authn import opaque
from authn.oidc import refresh
from authn.oidc.accesstokens import AccessTokens
from authn.oidc.caller import Caller
from authn.oidc.clientauth import ClientAuthentication, once
from authn.oidc.errors import InvalidRequest, OAuthError
from authn.oidc.issuers import IssuerOf
from authn.oidc.store import AccessToken, Client, GrantStore, RefreshToken
from authn.oidc.subjects import SubjectIdentifiers
from core.audit import AuditLog, Detail
from core.clock import Clock
from core.transaction import Transactions

_INACTIVE: dict[str, Any] = {"active": False}


class IntrospectionEndpoint:
    """Tells a resource server about the tokens that are for it, and a client about its own.

    Of all other tokens it says what it says of garbage: not active (RFC 7662, 2.2).
    """

    def __init__(
        self,
        authentication: ClientAuthentication,
        tokens: AccessTokens,
        grants: GrantStore,
        subjects: SubjectIdentifiers,
        *,
        issuer: IssuerOf,
        clock: Clock,
    ) -> None:
        self._authentication = authentication
        self._tokens = tokens
        self._grants = grants
        self._subjects = subjects
        self._issuer_of = issuer
        self._clock = clock

    def introspect(self, caller: Caller) -> dict[str, Any]:
        """Return the answer. Raises `OAuthError`."""
        parameters = once(caller.fields)
        client = self._authentication.authenticate(caller, parameters)
        if client.public:
            raise OAuthError("invalid_client", "a public client cannot introspect")
        token = parameters.get("token")
        if token is None:
            raise InvalidRequest("token is missing")
        presented = refresh.take_apart(token)
        if presented is None:
            return self._access(token, client)
        row = self._grants.find_refresh_token(presented.family)
        good = row is not None and refresh.is_current(row, presented)
        return self._refresh(row, client) if good and row is not None else _INACTIVE

    def _access(self, secret: str, client: Client) -> dict[str, Any]:
        found = self._tokens.find(secret)
        if found is None or not _may_know(found[0], client):
            return _INACTIVE
        token, user = found
        grant = token.grant
        answer = self._common(token, client)
        answer["token_type"] = token.type
        if token.confirmation is not None:
            answer["cnf"] = token.confirmation.cnf
        if grant.resources:
            answer["aud"] = grant.resources[0]
        if user is not None and _may_name(token, client):
            answer["username"] = user.name
        if grant.actor is not None:
            answer["act"] = {"sub": grant.actor}
        if grant.auth_time is not None:
            answer |= {"auth_time": int(grant.auth_time.timestamp()), "acr": grant.acr}
        return answer

    def _refresh(self, row: RefreshToken, client: Client) -> dict[str, Any]:
        if row.grant.client_id != client.id or self._clock.now() >= row.expires_at:
            return _INACTIVE
        return self._common(row, client)

    def _common(self, token: AccessToken | RefreshToken, client: Client) -> dict[str, Any]:
        grant = token.grant
        return {
            "active": True,
            "iss": self._issuer_of(client),
            "sub": self._subjects.of_grant(grant, client) or grant.client_id,
            "client_id": grant.client_id,
            "scope": grant.scope,
            "exp": int(token.expires_at.timestamp()),
        }


class RevocationEndpoint:
    """Lets a client give back what it does not need any more."""

    def __init__(
        self,
        authentication: ClientAuthentication,
        grants: GrantStore,
        *,
        transactions: Transactions,
        audit: AuditLog,
    ) -> None:
        self._authentication = authentication
        self._grants = grants
        self._transactions = transactions
        self._audit = audit

    def revoke(self, caller: Caller) -> None:
        """Revoke a token of the caller; all others and garbage are silently let be (RFC 7009, 2.2).

        A refresh token takes its whole grant with it. Raises `OAuthError`.
        """
        parameters = once(caller.fields)
        client = self._authentication.authenticate(caller, parameters)
        token = parameters.get("token")
        if token is None:
            raise InvalidRequest("token is missing")
        presented = refresh.take_apart(token)
        if presented is None:
            found = self._grants.find_token(opaque.digest(token))
            if found is not None and found.grant.client_id == client.id:
                self._grants.remove_token(found.digest)
            return
        row = self._grants.find_refresh_token(presented.family)
        if row is None or row.grant.client_id != client.id:
            return
        if refresh.is_current(row, presented) or refresh.is_previous(row, presented):
            self._end(row)

    def _end(self, row: RefreshToken) -> None:
        grant = row.grant
        with self._transactions.transaction():
            count = self._grants.remove_grant(grant.id)
            detail: Detail = {
                "grant": grant.id,
                "client": grant.client_id,
                "tokens": count,
                "why": "the client gave it back",
            }
            self._audit.record("grant.revoked", actor=grant.client_id, detail=detail)


def _may_name(token: AccessToken, client: Client) -> bool:
    """A client learns no name by this that userinfo would not tell: two could join a person."""
    theirs = client.metadata.resource in token.grant.resources
    return theirs or "profile" in token.grant.scopes


def _may_know(token: AccessToken, client: Client) -> bool:
    ours = token.grant.client_id == client.id
    return ours or client.metadata.resource in token.grant.resources
