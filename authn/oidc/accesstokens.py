"""What an access token gives: claims at userinfo, and administration with the scope for it."""

from __future__ import annotations

from collections.abc import Sequence

from authn import opaque
from authn.oidc.errors import OAuthError
from authn.oidc.scopes import ADMIN, claims
from authn.oidc.store import AccessToken, GrantStore
from authn.store import User, UserStore
from core.clock import Clock


class AccessTokens:
    """Looks access tokens up, and forgets those of a session that ended."""

    def __init__(self, grants: GrantStore, users: UserStore, *, clock: Clock) -> None:
        self._grants = grants
        self._users = users
        self._clock = clock

    def userinfo(self, secret: str) -> dict[str, str]:
        """Return the claims (OIDC Core, 5.3). Raises `OAuthError` invalid_token."""
        found = self._find(secret)
        if found is None:
            raise OAuthError("invalid_token", "the access token has expired or was revoked")
        token, user = found
        return claims(token.scope, user)

    def find_administrator(self, secret: str) -> User | None:
        """Return the user whose token may administer."""
        found = self._find(secret)
        if found is None or ADMIN not in found[0].scope.split():
            return None
        return found[1]

    def sessions_ended(self, sids: Sequence[str]) -> None:
        """Forget what the sessions gave (`authn.sessions.SessionListener`)."""
        self._grants.remove_sessions(sids)

    def _find(self, secret: str) -> tuple[AccessToken, User] | None:
        token = self._grants.find_token(opaque.digest(secret))
        if token is None or self._clock.now() >= token.expires_at:
            return None
        user = self._users.find(token.user_id)
        return None if user is None or user.disabled else (token, user)
