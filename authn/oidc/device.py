"""Logging in on a device without a browser (RFC 8628): it shows a code, the person types it."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Protocol

from authn import opaque
from authn.config import AuthnConfig
from authn.login import Throttle
from authn.oidc import scopes
from authn.oidc.caller import Caller
from authn.oidc.clientauth import ClientAuthentication, every, once
from authn.oidc.clientmetadata import GrantType
from authn.oidc.errors import OAuthError
from authn.oidc.grant import Grant
from authn.oidc.store import Client, ClientStore
from authn.store import Session, User
from core.audit import AuditLog
from core.clock import Clock
from core.errors import NotFound
from core.steps import Statements
from core.transaction import Transactions

PAGE: Final = "/device"
INTERVAL: Final = 5
"""Seconds between two questions of a device (3.2)."""
_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
"""Without vowels and digits: no words, and nothing that looks alike (6.1)."""
_LENGTH: Final = 8
_LASTS: Final = timedelta(minutes=10)


class DeviceState(StrEnum):
    """What the person said."""

    PENDING = "pending"
    ALLOWED = "allowed"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """One device that waits."""

    digest: bytes
    user_code: bytes
    """Digest of what the person types."""
    grant: Grant
    """Until it is allowed, without a user."""
    state: DeviceState
    polled_at: datetime | None
    expires_at: datetime


class DeviceCodeStore(Protocol):
    """Devices that wait."""

    def add_device(self, code: DeviceCode) -> None: ...

    def find_device(self, digest: bytes) -> DeviceCode | None: ...

    def find_by_user_code(self, user_code: bytes) -> DeviceCode | None: ...

    def decide_device(self, code: DeviceCode) -> bool:
        """Compare and set: True if it was still pending, and the session is open that decides."""
        ...

    def poll_device(self, digest: bytes, now: datetime) -> None: ...

    def to_remove_device(self, digest: bytes) -> Statements:
        """Return what removes it. Compare and set: changes a row for exactly one caller."""
        ...


class DeviceAuthorizationEndpoint:
    """Gives codes to devices (3.1)."""

    def __init__(
        self,
        authentication: ClientAuthentication,
        clients: ClientStore,
        store: DeviceCodeStore,
        *,
        config: AuthnConfig,
        clock: Clock,
    ) -> None:
        self._authentication = authentication
        self._clients = clients
        self._store = store
        self._issuer = config.issuer
        self._clock = clock

    def begin(self, caller: Caller) -> Mapping[str, Any]:
        """Return the codes (3.2). Raises `OAuthError`."""
        parameters = once(caller.fields)
        client = self._authentication.authenticate(caller, parameters)
        if GrantType.DEVICE_CODE not in client.metadata.grant_types:
            raise OAuthError("unauthorized_client", "the client is not registered for it")
        device, shown = opaque.draw(), _draw_user_code()
        grant = Grant(
            id=str(uuid.uuid4()),
            client_id=client.id,
            user_id=None,
            sid=None,
            scope=_scope(client, parameters.get("scope", scopes.OPENID)),
            resources=self._resources(every(caller.fields, "resource")),
        )
        expires_at = self._clock.now() + _LASTS
        self._store.add_device(
            DeviceCode(
                device.digest, digest_of(shown), grant, DeviceState.PENDING, None, expires_at
            )
        )
        page = self._issuer + PAGE
        return {
            "device_code": device.secret,
            "user_code": shown,
            "verification_uri": page,
            "verification_uri_complete": f"{page}?user_code={shown}",
            "expires_in": int(_LASTS.total_seconds()),
            "interval": INTERVAL,
        }

    def _resources(self, names: tuple[str, ...]) -> tuple[str, ...]:
        if any(self._clients.find_resource(name) is None for name in names):
            raise OAuthError("invalid_target", "a resource is not registered here")
        return names


class DeviceDecisions:
    """What a person sees of a device, and says about it."""

    def __init__(
        self,
        clients: ClientStore,
        store: DeviceCodeStore,
        *,
        throttle: Throttle,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._clients = clients
        self._store = store
        self._throttle = throttle
        self._transactions = transactions
        self._audit = audit
        self._clock = clock

    def find(self, user_code: str, *, address: str) -> tuple[DeviceCode, Client]:
        """Return the device that waits under a code. Raises `NotFound` and `Throttled`."""
        self._throttle.charge(address)  # 5.1: a code is short, so guesses are counted
        found = self._store.find_by_user_code(digest_of(user_code))
        client = None if found is None else self._clients.find(found.grant.client_id)
        if found is None or client is None or found.state is not DeviceState.PENDING:
            raise NotFound("no device waits under this code; look at the device again")
        if self._clock.now() >= found.expires_at:
            raise NotFound("the code has expired; begin again at the device")
        self._throttle.refund(address)
        return found, client

    def decide(
        self, code: DeviceCode, client: Client, session: Session, user: User, *, allowed: bool
    ) -> None:
        """Let the device act for the person, or not. Raises `NotFound`."""
        grant = Grant(
            id=code.grant.id,
            client_id=client.id,
            user_id=user.id,
            sid=session.sid,
            scope=scopes.granted(code.grant.scope, user),
            auth_time=session.auth_time,
            amr=session.amr,
            acr=session.acr,
            account=session.account,
            resources=code.grant.resources,
        )
        state = DeviceState.ALLOWED if allowed else DeviceState.DENIED
        decided = DeviceCode(
            code.digest, code.user_code, grant, state, code.polled_at, code.expires_at
        )
        with self._transactions.transaction():
            if not self._store.decide_device(decided):
                raise NotFound("somebody has answered for this device, or the session has ended")
            action = "device.allowed" if allowed else "device.denied"
            detail = {"grant": grant.id, "client": client.id, "user": user.name, "sid": session.sid}
            self._audit.record(action, actor=user.name, detail=detail)


def digest_of(user_code: str) -> bytes:
    """Return the digest of a code, however it was typed."""
    return opaque.digest("".join(letter for letter in user_code.upper() if letter in _LETTERS))


def _draw_user_code() -> str:
    letters = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
    return f"{letters[:4]}-{letters[4:]}"


def _scope(client: Client, asked: str) -> str:
    names = set(asked.split())
    if names & {scopes.ADMIN, scopes.IDENTITY} or not names <= client.scopes:
        # Who types a code cannot see where it comes from: it gives neither the
        # administration away nor an identity number.
        raise OAuthError("invalid_scope", "the client is not registered for one of the scopes")
    return " ".join(sorted(names))
