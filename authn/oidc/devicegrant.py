"""The device code grant (RFC 8628, 3.4): a device asks whether the person has said yes."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from authn import opaque
from authn.oidc.clientmetadata import GrantType
from authn.oidc.device import INTERVAL, DeviceCode, DeviceCodeStore, DeviceState
from authn.oidc.errors import InvalidGrant, OAuthError
from authn.oidc.granting import Granting
from authn.oidc.issuing import MadeToken
from authn.oidc.tokenrequest import TokenRequest, TokenResponse
from authn.store import User
from core.steps import Steps, apart


class DeviceGrant:
    """Gives a device its tokens, once, when the person has said yes."""

    type = GrantType.DEVICE_CODE

    def __init__(self, granting: Granting, store: DeviceCodeStore) -> None:
        self._granting = granting
        self._store = store

    def exchange(self, request: TokenRequest) -> Steps[TokenResponse]:
        """Return the tokens. Raises `OAuthError`, also while the person has not answered (3.5)."""
        parts = self._granting
        code, user, made = yield from apart(partial(self._allowed, request))
        used = self._store.to_remove_device(code.digest)
        answer = yield from parts.giving(used, code.grant, user, made, request)
        if answer is None:
            raise InvalidGrant("another call took the tokens")
        return answer

    def _allowed(self, request: TokenRequest) -> tuple[DeviceCode, User, MadeToken]:
        parts = self._granting
        code = self._store.find_device(opaque.digest(request.required("device_code")))
        if code is None or code.grant.client_id != request.client.id:
            raise InvalidGrant("unknown device code")
        self._require_allowed(code, request)
        user = parts.person(code.grant)
        return code, user, parts.access_token(code.grant, request)

    def _require_allowed(self, code: DeviceCode, request: TokenRequest) -> None:
        if request.now >= code.expires_at:
            raise OAuthError("expired_token", "the device code has expired; begin again")
        if code.state is DeviceState.DENIED:
            raise OAuthError("access_denied", "the person said no")
        if code.state is DeviceState.ALLOWED:
            return
        too_soon = code.polled_at is not None and request.now < code.polled_at + timedelta(
            seconds=INTERVAL
        )
        self._store.poll_device(code.digest, request.now)
        if too_soon:
            raise OAuthError("slow_down", f"ask every {INTERVAL} seconds")
        raise OAuthError("authorization_pending", "the person has not answered yet")
