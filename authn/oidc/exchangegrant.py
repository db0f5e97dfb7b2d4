"""Token exchange (RFC 8693): a resource server calls another one for the person who called it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from authn import opaque
from authn.oidc.clientmetadata import GrantType
from authn.oidc.errors import InvalidGrant, InvalidRequest, OAuthError
from authn.oidc.granting import Granting
from authn.oidc.store import AccessToken, Client
from authn.oidc.tokenrequest import TokenRequest, TokenResponse, target
from core.steps import Steps, apart

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a word of the RFC


class ExchangeGrant:
    """Changes an access token into one for another resource server.

    The policy: who exchanges holds the token rightly, because it is for their resource or was given
    to them; the new token is for one registered resource server, with scopes that the client is
    registered for and that resource server defines; it stays part of the same grant, ends when that
    ends, lives no longer than the token it came from, and names who acts (`act`). Delegation only:
    nobody becomes somebody else. No refresh token.
    """

    type = GrantType.TOKEN_EXCHANGE

    def __init__(self, granting: Granting) -> None:
        self._granting = granting

    def exchange(self, request: TokenRequest) -> Steps[TokenResponse]:
        """Return the new token. Raises `OAuthError`."""
        return apart(partial(self._exchange, request))

    def _exchange(self, request: TokenRequest) -> TokenResponse:
        parts, client = self._granting, request.client
        if client.public:
            raise OAuthError("unauthorized_client", "a public client cannot exchange tokens")
        for name in ("subject_token_type", "requested_token_type"):
            if request.parameters.get(name, ACCESS_TOKEN) != ACCESS_TOKEN:
                raise InvalidRequest(f"{name} must be {ACCESS_TOKEN}")
        if "actor_token" in request.parameters:
            raise InvalidRequest("actor_token is not supported: the client itself is the actor")
        subject = self._subject(request)
        resource = self._target(request)
        grant = replace(
            subject.grant,
            scope=self._scope(request, resource),
            actor=client.id,
            claims="",
        )
        made = parts.maker.access_token(
            grant,
            client,
            resource,
            request.confirmation,
            now=request.now,
            until=subject.expires_at,
        )
        with parts.transactions.transaction():
            if grant.sid is not None and not parts.grants.hold_session(grant.sid):
                raise InvalidGrant("the session of the subject token has ended meanwhile")
            parts.grants.add_token(made.row)
            detail = {
                "grant": grant.id,
                "client": client.id,
                "for": resource.id,
                "scope": grant.scope,
            }
            parts.audit.record("token.exchanged", actor=client.id, detail=detail)
        lasts = int((made.row.expires_at - request.now).total_seconds())
        return {**parts.answer(made), "issued_token_type": ACCESS_TOKEN, "expires_in": lasts}

    def _subject(self, request: TokenRequest) -> AccessToken:
        parts, client = self._granting, request.client
        secret = request.required("subject_token")
        token = parts.grants.find_token(opaque.digest(secret))
        if token is None or request.now >= token.expires_at:
            raise InvalidGrant("the subject token is unknown or has expired")
        for_us = client.metadata.resource in token.grant.resources
        ours = token.grant.client_id == client.id and token.grant.actor is None
        if not for_us and not ours:
            raise InvalidGrant("the subject token is neither for this client nor of it")
        if ours and token.confirmation not in (None, request.confirmation):
            raise InvalidGrant("the subject token is bound to another key")
        if token.grant.user_id is not None:
            parts.person(token.grant)
        return token

    def _target(self, request: TokenRequest) -> Client:
        names = request.resources or request.audiences
        resource = target(self._granting.clients, names, names)
        if resource is None:
            raise OAuthError("invalid_target", "name the resource server with resource (RFC 8707)")
        return resource

    def _scope(self, request: TokenRequest, resource: Client) -> str:
        offered = request.client.scopes & set(resource.metadata.resource_scopes)
        asked = set(request.parameters.get("scope", "").split()) or offered
        if not asked <= offered:
            raise OAuthError("invalid_scope", "a scope is not the resource's, or not the client's")
        return " ".join(sorted(asked))
