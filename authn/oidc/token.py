"""The token endpoint (OIDC Core, 3.1.3): a code becomes an access token and an ID token."""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NoReturn

from authn import opaque
from authn.config import AuthnConfig
from authn.forms import Fields
from authn.logout.channels import LogoutChannels
from authn.logout.store import Channel, Participation
from authn.oidc.clientauth import authenticate_client, once
from authn.oidc.errors import InvalidGrant, InvalidRequest, OAuthError
from authn.oidc.jwt import SigningKeys, half_hash
from authn.oidc.store import AccessToken, AuthorizationCode, Client, ClientStore, GrantStore
from authn.store import UserStore
from core import observe
from core.audit import AuditLog, Detail
from core.clock import Clock
from core.transaction import Transactions

log = logging.getLogger(__name__)

PREFIX: Final = "yxa_"
"""Of access tokens, so that people and secret scanners recognise one."""
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")


class TokenEndpoint:
    """Redeems codes, each once."""

    def __init__(
        self,
        clients: ClientStore,
        grants: GrantStore,
        users: UserStore,
        keys: SigningKeys,
        channels: LogoutChannels,
        *,
        config: AuthnConfig,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._clients = clients
        self._grants = grants
        self._users = users
        self._keys = keys
        self._channels = channels
        self._issuer = config.issuer
        self._access_lifetime = timedelta(minutes=config.oidc.access_token_minutes)
        self._id_lifetime = timedelta(minutes=config.oidc.id_token_minutes)
        self._transactions = transactions
        self._audit = audit
        self._clock = clock

    def exchange(self, fields: Fields, authorization: str | None) -> Mapping[str, Any]:
        """Return the token response. Raises `OAuthError`."""
        parameters = once(fields)
        client = authenticate_client(parameters, authorization, self._clients)
        grant_type = parameters.get("grant_type")
        if grant_type is None:
            raise InvalidRequest("grant_type is missing")
        if grant_type != "authorization_code":
            raise OAuthError("unsupported_grant_type", "only authorization_code is supported")
        try:
            return self._redeem(parameters, client)
        except InvalidGrant as refusal:
            log.info("code refused", extra={"client": client.id, "reason": refusal.reason})
            raise

    def _redeem(self, parameters: Mapping[str, str], client: Client) -> Mapping[str, Any]:
        now = self._clock.now()
        code = self._grants.find_code(opaque.digest(parameters.get("code", "")))
        if code is None or code.client_id != client.id:
            # A code of another client is not touched: its own client can still use it.
            raise InvalidGrant("unknown code")
        if code.used_at is not None:
            self._revoke(code, now)
        check_bindings(code, parameters, now)
        secret = self._use(code, client, now)
        if secret is None:
            self._revoke(code, now)
        # Signing comes last and outside the transaction, so that a slow token device does not hold
        # the database. If it fails the code is spent, and the client starts again.
        id_token = self._keys.sign(self._claims(code, secret, now), client.id_token_algorithm)
        observe.TOKENS_ISSUED.labels(grant_type="authorization_code").inc()
        return {
            "access_token": secret,
            "token_type": "Bearer",
            "expires_in": int(self._access_lifetime.total_seconds()),
            "scope": code.scope,
            "id_token": id_token,
        }

    def _use(self, code: AuthorizationCode, client: Client, now: datetime) -> str | None:
        """Return the access token; None if another call used the code meanwhile."""
        user = self._users.find(code.user_id)
        if user is None or user.disabled:
            raise InvalidGrant("the user is gone")
        drawn = opaque.draw(PREFIX)
        with self._transactions.transaction():
            if not self._grants.use_code(code.digest, now):
                return None
            self._grants.add_token(
                AccessToken(
                    digest=drawn.digest,
                    grant_id=code.grant_id,
                    client_id=code.client_id,
                    user_id=code.user_id,
                    sid=code.sid,
                    scope=code.scope,
                    expires_at=now + self._access_lifetime,
                )
            )
            self._channels.take_part(
                Participation(
                    sid=code.sid,
                    client_id=client.id,
                    ticket="",
                    channel=Channel.OIDC,
                    subject=code.user_id,
                    backchannel_uri=client.backchannel_logout_uri,
                    frontchannel_uri=client.frontchannel_logout_uri,
                )
            )
            detail = {
                "grant": code.grant_id,
                "client": code.client_id,
                "user": user.name,
                "sid": code.sid,
                "scope": code.scope,
            }
            self._audit.record("token.issued", actor=user.name, detail=detail)
        return drawn.secret

    def _revoke(self, code: AuthorizationCode, now: datetime) -> NoReturn:
        """RFC 6749, 4.1.2: a code used twice was stolen; what it gave is worth nothing now."""
        with self._transactions.transaction():
            count = self._grants.remove_tokens_of_grant(code.grant_id)
            detail: Detail = {"grant": code.grant_id, "client": code.client_id, "tokens": count}
            self._audit.record("grant.revoked", actor=code.client_id, detail=detail)
        raise InvalidGrant(f"used a second time at {now.isoformat()}")

    def _claims(self, code: AuthorizationCode, secret: str, now: datetime) -> dict[str, Any]:
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "sub": code.user_id,
            "aud": code.client_id,
            "iat": int(now.timestamp()),
            "exp": int((now + self._id_lifetime).timestamp()),
            "auth_time": int(code.auth_time.timestamp()),
            "at_hash": half_hash(secret),
            "acr": code.acr,
            "amr": code.amr.split(),
            "sid": code.sid,
            # A grant gives one ID token, so the audit event of the grant names it too.
            "jti": code.grant_id,
        }
        if code.nonce is not None:
            claims["nonce"] = code.nonce
        return claims


def check_bindings(code: AuthorizationCode, parameters: Mapping[str, str], now: datetime) -> None:
    """A code is good until it expires, for its redirect URI and its PKCE verifier."""
    if now >= code.expires_at:
        raise InvalidGrant("expired")
    if parameters.get("redirect_uri") != code.redirect_uri:
        raise InvalidGrant("another redirect_uri")
    verifier = parameters.get("code_verifier", "")
    if _VERIFIER.fullmatch(verifier) is None:
        raise InvalidGrant("no code_verifier of 43 to 128 characters")
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=")
    if not hmac.compare_digest(challenge, code.code_challenge.encode()):
        raise InvalidGrant("the code_verifier does not match")
