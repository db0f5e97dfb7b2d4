"""Logout tokens (OpenID Connect Back-Channel Logout 1.0, 2.4)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Final

from authn.logout.store import Delivery
from authn.oidc.issuers import Issuers
from authn.oidc.store import ClientStore
from core.clock import Clock

TYPE: Final = "logout+jwt"
_EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
_LIFETIME_SECONDS: Final = 120
"""The specification recommends at most two minutes; a later attempt gets a new token."""


class LogoutTokens:
    """`authn.logout.sender.Messages` for OpenID Connect."""

    def __init__(self, clients: ClientStore, issuers: Issuers, *, clock: Clock) -> None:
        self._clients = clients
        self._issuers = issuers
        self._clock = clock

    def form_of(self, delivery: Delivery) -> Mapping[str, str] | None:
        """Sign a token for one application; None when it is not registered any more."""
        client = self._clients.find(delivery.client_id)
        if client is None:
            return None
        issuer = self._issuers.of(client)
        now = int(self._clock.now().timestamp())
        claims = {
            "iss": issuer.identifier,
            "aud": client.id,
            "sub": delivery.subject,
            "sid": delivery.sid,
            "iat": now,
            "exp": now + _LIFETIME_SECONDS,
            "jti": str(uuid.uuid4()),
            "events": {_EVENT: {}},
        }
        return {"logout_token": issuer.keys.sign(claims, client.id_token_algorithm, typ=TYPE)}
