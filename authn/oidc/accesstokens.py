"""What an access token gives: claims at userinfo, and administration with the scope for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from authn import opaque
from authn.oidc import scopes
from authn.oidc.accountclaims import AccountClaims
from authn.oidc.binding import DPOP_CHALLENGE, SenderBinding
from authn.oidc.caller import Caller
from authn.oidc.errors import InvalidRequest, OAuthError
from authn.oidc.store import AccessToken, ClientStore, GrantStore
from authn.oidc.subjects import SubjectIdentifiers
from authn.store import User, UserStore
from core.clock import Clock


class AccessTokens:
    """Looks access tokens up, and forgets those of a session that ended."""

    def __init__(self, grants: GrantStore, users: UserStore, *, clock: Clock) -> None:
        self._grants = grants
        self._users = users
        self._clock = clock

    def find(self, secret: str) -> tuple[AccessToken, User | None] | None:
        """Return a live token and its user; None also when the user may not log in any more."""
        token = self._grants.find_token(opaque.digest(secret))
        if token is None or self._clock.now() >= token.expires_at:
            return None
        if token.grant.user_id is None:
            return token, None
        user = self._users.find(token.grant.user_id)
        return None if user is None or user.disabled else (token, user)

    def find_administrator(self, secret: str) -> User | None:
        """Return the user whose token may administer."""
        found = self.find(secret)
        if found is None:
            return None
        token, user = found
        # A bound token is no bearer token, and one for a resource server is not for us.
        if token.confirmation is not None or token.grant.resources:
            return None
        return user if scopes.ADMIN in token.grant.scopes else None

    def sessions_ended(self, sids: Sequence[str]) -> None:
        """Forget what the sessions gave (`authn.sessions.SessionListener`)."""
        self._grants.remove_sessions(sids)


class UserinfoEndpoint:
    """Tells a client about the person who logged in (OIDC Core, 5.3)."""

    def __init__(
        self,
        tokens: AccessTokens,
        binding: SenderBinding,
        clients: ClientStore,
        subjects: SubjectIdentifiers,
        accounts: AccountClaims,
    ) -> None:
        self._accounts = accounts
        self._tokens = tokens
        self._binding = binding
        self._clients = clients
        self._subjects = subjects

    def claims(self, caller: Caller) -> dict[str, Any]:
        """Return the claims that an access token releases. Raises `OAuthError`."""
        scheme, secret = _shown(caller)
        found = self._tokens.find(secret)
        client = None if found is None else self._clients.find(found[0].grant.client_id)
        if found is None or client is None or found[0].grant.resources:
            raise OAuthError("invalid_token", "the access token has expired or was revoked")
        token, user = found
        self._binding.check_token(token, secret, caller, scheme)
        if user is None or scopes.OPENID not in token.grant.scopes:
            raise OAuthError("insufficient_scope", "the access token is without the scope openid")
        return {
            "sub": self._subjects.of(user.id, client),
            **scopes.released(token.grant, user, client.scopes),
            **self._accounts.of(token.grant, user),
        }


def _shown(caller: Caller) -> tuple[str, str]:
    """Return how an access token is shown, and which (RFC 6750, 2; RFC 9449, 7.1)."""
    scheme, _, secret = (caller.authorization or "").partition(" ")
    in_body = dict(caller.fields).get("access_token")
    if caller.authorization is None and in_body is not None and len(caller.fields) == 1:
        return "bearer", in_body
    if caller.authorization is not None and in_body is not None:
        raise InvalidRequest("the access token is sent in two ways (RFC 6750, 3.1)")
    if scheme.lower() not in ("bearer", "dpop") or not secret.strip():
        # RFC 6750, 3.1: who shows nothing is told how to, and no error.
        challenge = {"WWW-Authenticate": f'Bearer realm="yinxin", {DPOP_CHALLENGE}'}
        raise OAuthError(
            "invalid_token", "send the access token as Authorization: Bearer", headers=challenge
        )
    return scheme.lower(), secret.strip()
