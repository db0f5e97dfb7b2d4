"""Passkeys (WebAuthn Level 3), discoverable and with user verification: two factors in one touch.

The octets are judged by py_webauthn. Attestation is not asked for: it names makers, not people, and
a level above two factors comes from our own certificates.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import webauthn
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    CredentialDeviceType,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from authn import opaque
from authn.config import AuthnConfig
from authn.levels import PASSKEY
from authn.login import Throttle
from authn.store import CertificateLoginStore, Challenge, User, UserStore
from core import observe
from core.audit import AuditLog
from core.clock import Clock
from core.errors import Conflict, Malformed, NotFound, Unauthenticated
from core.oneline import one_line
from core.transaction import Transactions

MOST: Final = 20
"""Passkeys of one person."""
_MOST_CHARACTERS: Final = 20_000
_FAULTS: Final = (WebAuthnException, ValueError, TypeError, KeyError, IndexError)
"""What py_webauthn raises for octets that are not what they should be."""


@dataclass(frozen=True, slots=True)
class Passkey:
    """A credential of one person, in one or several devices."""

    id: str
    credential_id: bytes
    user_id: str
    name: str
    public_key: bytes
    """COSE_Key (RFC 9052, 7)."""
    sign_count: int
    synced: bool
    """The platform copies it between a person's devices (WebAuthn, 6.1.3: backup eligible)."""
    created_at: datetime
    used_at: datetime | None = None

    @property
    def credential_digest(self) -> bytes:
        """By which it is found."""
        return hashlib.sha256(self.credential_id).digest()


class PasskeyStore(Protocol):
    """Remembers passkeys."""

    def add(self, passkey: Passkey) -> None:
        """Raises `Conflict` when the credential is known."""
        ...

    def find(self, credential_id: bytes) -> Passkey | None: ...

    def list_of_user(self, user_id: str) -> Sequence[Passkey]: ...

    def used(self, passkey: Passkey, *, sign_count: int, now: datetime) -> bool:
        """Compare and set by the count that was judged; False when another login was faster."""
        ...

    def rename(self, passkey_id: str, user_id: str, name: str) -> bool: ...

    def remove(self, passkey_id: str, user_id: str) -> bool: ...


class Passkeys:
    """Enrols passkeys and logs people in with them."""

    def __init__(
        self,
        store: PasskeyStore,
        users: UserStore,
        challenges: CertificateLoginStore,
        *,
        config: AuthnConfig,
        throttle: Throttle,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._users = users
        self._challenges = challenges
        self._origin = config.issuer
        self._rp_id = urlsplit(config.issuer).hostname or ""
        self._lifetime = timedelta(minutes=config.login.challenge_minutes)
        self._throttle = throttle
        self._transactions = transactions
        self._audit = audit
        self._clock = clock

    def registration_options(self, user: User, browser: str) -> str:
        """Return PublicKeyCredentialCreationOptionsJSON (WebAuthn, 5.1.9)."""
        options = webauthn.generate_registration_options(
            rp_id=self._rp_id,
            rp_name="印信 Yinxin",
            user_id=uuid.UUID(user.id).bytes,
            user_name=user.name,
            user_display_name=user.display_name,
            challenge=self._challenge(browser),
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[
                PublicKeyCredentialDescriptor(one.credential_id)
                for one in self._store.list_of_user(user.id)
            ],
        )
        return webauthn.options_to_json(options)

    def register(self, user: User, name: str, answer: str, *, browser: str) -> Passkey:
        """Keep the credential that the browser made. Raises `Malformed`, `Conflict`."""
        name = _name(name)
        if len(self._store.list_of_user(user.id)) >= MOST:
            raise Conflict(f"{MOST} passkeys are the most; remove one first")
        credential, challenge = _parse(answer)
        try:
            verified = webauthn.verify_registration_response(
                credential=credential,
                expected_challenge=self._spend(challenge, browser),
                expected_rp_id=self._rp_id,
                expected_origin=self._origin,
                require_user_verification=True,
            )
        except _FAULTS as error:
            raise Malformed("the passkey was refused; try again, or another one") from error
        passkey = Passkey(
            id=str(uuid.uuid4()),
            credential_id=verified.credential_id,
            user_id=user.id,
            name=name,
            public_key=verified.credential_public_key,
            sign_count=verified.sign_count,
            synced=verified.credential_device_type is CredentialDeviceType.MULTI_DEVICE,
            created_at=self._clock.now(),
        )
        with self._transactions.transaction():
            self._store.add(passkey)
            detail = {"user": user.name, "factor": "passkey", "id": passkey.id}
            self._audit.record("factor.enrolled", actor=user.name, detail=detail)
        return passkey

    def login_options(self, browser: str) -> str:
        """Return PublicKeyCredentialRequestOptionsJSON (WebAuthn, 5.1.10), for any person."""
        options = webauthn.generate_authentication_options(
            rp_id=self._rp_id,
            challenge=self._challenge(browser),
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return webauthn.options_to_json(options)

    def authenticate(self, answer: str, *, browser: str, address: str) -> User:
        """Return whose passkey answered. Raises `Throttled`, `Unauthenticated`."""
        self._throttle.charge(address)
        try:
            user, passkey, count = self._judge(answer, browser)
        except (Malformed, NotFound, *_FAULTS) as error:
            observe.LOGINS.labels(method="passkey", result="failed").inc()
            detail = {"method": "passkey", "address": address, "why": str(error)[:200]}
            self._audit.record("login.failed", actor="anonymous", detail=detail)
            raise Unauthenticated("the passkey was not accepted") from error
        with self._transactions.transaction():
            self._throttle.refund(address)
            if not self._store.used(passkey, sign_count=count, now=self._clock.now()):
                raise Unauthenticated("the passkey was used elsewhere at the same moment; again")
            detail = {"user": user.name, "method": PASSKEY.name, "address": address}
            self._audit.record("login.succeeded", actor=user.name, detail=detail)
        observe.LOGINS.labels(method="passkey", result="succeeded").inc()
        return user

    def list_of(self, user: User) -> Sequence[Passkey]:
        """Return a person's passkeys, oldest first."""
        return self._store.list_of_user(user.id)

    def rename(self, user: User, passkey_id: str, name: str) -> None:
        """Call one something else. Raises `Malformed`, `NotFound`."""
        if not self._store.rename(passkey_id, user.id, _name(name)):
            raise NotFound("there is no such passkey")

    def remove(self, user: User, passkey_id: str, *, actor: str) -> None:
        """Remove one. Raises `NotFound`."""
        with self._transactions.transaction():
            if not self._store.remove(passkey_id, user.id):
                raise NotFound("there is no such passkey")
            detail = {"user": user.name, "factor": "passkey", "id": passkey_id}
            self._audit.record("factor.removed", actor=actor, detail=detail)

    def _judge(self, answer: str, browser: str) -> tuple[User, Passkey, int]:
        credential, challenge = _parse(answer)
        expected = self._spend(challenge, browser)
        passkey = self._store.find(_credential_id(credential))
        user = None if passkey is None else self._users.find(passkey.user_id)
        if passkey is None or user is None or user.disabled:
            raise NotFound("the passkey is not known here, or its user may not log in")
        verified = webauthn.verify_authentication_response(
            credential=dict(credential),
            expected_challenge=expected,
            expected_rp_id=self._rp_id,
            expected_origin=self._origin,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=True,
        )
        return user, passkey, verified.new_sign_count

    def _challenge(self, browser: str) -> bytes:
        drawn = opaque.draw().secret
        expires_at = self._clock.now() + self._lifetime
        self._challenges.add_challenge(Challenge(drawn, opaque.digest(browser), expires_at))
        return base64url_to_bytes(drawn)

    def _spend(self, challenge: str, browser: str) -> bytes:
        """Use up the challenge that the answer names, and return what it has to be over."""
        if not self._challenges.use_challenge(challenge, opaque.digest(browser), self._clock.now()):
            raise Malformed("the challenge has expired or was answered; try again")
        return base64url_to_bytes(challenge)


def _parse(answer: str) -> tuple[dict[str, Any], str]:
    """Return the credential and the challenge in its clientDataJSON. Raises `Malformed`."""
    if len(answer) > _MOST_CHARACTERS:
        raise Malformed(f"the answer has more than {_MOST_CHARACTERS} characters")
    try:
        credential = json.loads(answer)
        client_data = json.loads(base64url_to_bytes(credential["response"]["clientDataJSON"]))
        challenge = client_data["challenge"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Malformed("the answer is not that of a passkey") from error
    if not isinstance(challenge, str) or len(challenge) > 64:
        raise Malformed("the answer is not that of a passkey")
    return credential, bytes_to_base64url(base64url_to_bytes(challenge))


def _credential_id(credential: Mapping[str, Any]) -> bytes:
    try:
        return base64url_to_bytes(credential["rawId"])
    except (ValueError, KeyError, TypeError) as error:
        raise Malformed("the answer names no credential") from error


def _name(name: str) -> str:
    return one_line(name, "the name of a passkey", most=64)
