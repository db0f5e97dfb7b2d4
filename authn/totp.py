"""One-time passwords from a generator (RFC 6238), and the recovery codes beside it.

HMAC-SHA-1, six digits, thirty seconds: what every authenticator application understands. The
secret is sealed at rest; a code is good once and within one step of the clock.
"""

from __future__ import annotations

import base64
import re
import secrets
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlencode

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.hotp import HOTP

from authn import opaque
from authn.attempts import Attempts
from authn.factors_store import FactorStore, TOTPFactor
from authn.levels import ONE_TIME_PASSWORD, RECOVERY_CODE, Method
from authn.store import User
from core.audit import AuditLog, Detail
from core.clock import Clock
from core.errors import NotFound, Unauthenticated
from core.transaction import Transactions
from keystore.seal import Seal

STEP_SECONDS: Final = 30
DIGITS: Final = 6
_DRIFT: Final = 1
"""RFC 6238, 5.2: at most one step of delay; one ahead for clocks that run fast."""
_SECRET_OCTETS: Final = 20
RECOVERY_CODES: Final = 10
_RECOVERY_OCTETS: Final = 10
"""80 bits: more than anybody can try, and sixteen characters to type."""
_CODE: Final = re.compile(rf"[0-9]{{{DIGITS}}}")


def code_at(secret: bytes, step: int) -> str:
    """Return the code of a step (RFC 4226, 5.3)."""
    return HOTP(secret, DIGITS, SHA1()).generate(step).decode()  # noqa: S303  (RFC 6238, 1.2)


def step_of(moment: datetime) -> int:
    """Return the number of thirty seconds since 1970."""
    return int(moment.timestamp()) // STEP_SECONDS


class OneTimePasswords:
    """Enrols generators and judges codes."""

    def __init__(
        self,
        store: FactorStore,
        *,
        attempts: Attempts,
        seal: Seal,
        issuer: str,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._attempts = attempts
        self._seal = seal
        self._issuer = issuer
        self._transactions = transactions
        self._audit = audit
        self._clock = clock

    def offer(self, user: User) -> str:
        """Return the base32 secret of a new generator, which counts once a code is shown.

        Raises `Conflict` (from the store) when the person has one.
        """
        secret = secrets.token_bytes(_SECRET_OCTETS)
        sealed = self._seal.seal(secret, about=_about(user))
        self._store.offer_totp(TOTPFactor(user.id, sealed, self._clock.now(), None, 0))
        return base64.b32encode(secret).decode()

    def offered(self, user: User) -> str | None:
        """Return the secret that was offered and does not count yet: to show it again."""
        factor = self._store.find_totp(user.id)
        if factor is None or factor.confirmed_at is not None:
            return None
        return base64.b32encode(self._seal.open(factor.sealed, about=_about(user))).decode()

    def address(self, user: User, secret: str) -> str:
        """Return the ``otpauth:`` address that applications take as a QR code."""
        name = self._issuer.removeprefix("https://")
        return f"otpauth://totp/{quote(f'{name}:{user.name}')}?" + urlencode(
            {"secret": secret, "issuer": name, "digits": DIGITS, "period": STEP_SECONDS}
        )

    def confirm(self, user: User, code: str, *, address: str) -> list[str]:
        """Make the offered generator count; returns the recovery codes, to be shown once.

        Raises `Unauthenticated` for a wrong code, `NotFound` when nothing was offered.
        """
        factor = self._store.find_totp(user.id)
        if factor is None or factor.confirmed_at is not None:
            raise NotFound("no generator was offered; begin again")
        self._attempts.charge(user, ONE_TIME_PASSWORD.name, address=address)
        with self._transactions.transaction():
            if self._use_code(user, factor, code, address=address):
                detail = {"user": user.name, "factor": "totp"}
                self._audit.record("factor.enrolled", actor=user.name, detail=detail)
                return self._draw_recovery_codes(user)
        raise self._wrong(user, address)

    def verify(self, user: User, code: str, *, address: str) -> Method:
        """Judge a code of the generator, or a recovery code. Returns which of the two it was.

        Raises `Throttled`, and `Unauthenticated` for every wrong one.
        """
        factor = self._store.find_totp(user.id)
        typed = "".join(code.split()).replace("-", "")
        method = ONE_TIME_PASSWORD if _CODE.fullmatch(typed) else RECOVERY_CODE
        # One count for both: else who may guess five of each may guess ten.
        self._attempts.charge(user, ONE_TIME_PASSWORD.name, address=address)
        with self._transactions.transaction():
            if factor is not None and factor.confirmed_at is not None:
                use = self._use_code if method is ONE_TIME_PASSWORD else self._use_recovery_code
                if use(user, factor, typed, address=address):
                    return method
        raise self._wrong(user, address)

    def renew_recovery_codes(self, user: User) -> list[str]:
        """Return new codes; the old ones stop working. Raises `NotFound` without a generator."""
        if not self.is_enrolled(user):
            raise NotFound("recovery codes stand beside a generator, and there is none")
        with self._transactions.transaction():
            return self._draw_recovery_codes(user)

    def remove(self, user: User, *, actor: str) -> None:
        """Remove the generator and the recovery codes. Raises `NotFound`."""
        with self._transactions.transaction():
            if not self._store.remove_totp(user.id):
                raise NotFound("there is no generator of one-time passwords")
            self._store.replace_recovery_codes(user.id, ())
            detail = {"user": user.name, "factor": "totp"}
            self._audit.record("factor.removed", actor=actor, detail=detail)

    def is_enrolled(self, user: User) -> bool:
        """Tell whether the person has a generator that counts."""
        factor = self._store.find_totp(user.id)
        return factor is not None and factor.confirmed_at is not None

    def recovery_codes_left(self, user: User) -> int:
        """Return how many can still be used."""
        return self._store.count_recovery_codes(user.id)

    def _use_code(self, user: User, factor: TOTPFactor, code: str, *, address: str) -> bool:
        secret = self._seal.open(factor.sealed, about=_about(user))
        now = self._clock.now()
        around = range(step_of(now) - _DRIFT, step_of(now) + _DRIFT + 1)
        # All of them are compared, so that the time does not tell which one was near.
        right = [step for step in around if opaque.equal(code_at(secret, step), code)]
        if not right or not self._store.use_totp(user.id, right[0], now):
            return False
        self._attempts.succeeded(user, ONE_TIME_PASSWORD.name, address=address)
        return True

    def _use_recovery_code(
        self, user: User, _factor: TOTPFactor, code: str, *, address: str
    ) -> bool:
        if not self._store.use_recovery_code(user.id, _recovery_digest(code), self._clock.now()):
            return False
        self._attempts.succeeded(user, ONE_TIME_PASSWORD.name, address=address)
        left = self._store.count_recovery_codes(user.id)
        detail: Detail = {"user": user.name, "left": left}
        self._audit.record("recoverycode.used", actor=user.name, detail=detail)
        return True

    def _wrong(self, user: User, address: str) -> Unauthenticated:
        why = "the code is wrong, was used before, or is too old"
        return self._attempts.failed(user, ONE_TIME_PASSWORD.name, address=address, why=why)

    def _draw_recovery_codes(self, user: User) -> list[str]:
        drawn = [secrets.token_bytes(_RECOVERY_OCTETS) for _ in range(RECOVERY_CODES)]
        texts = [base64.b32encode(octets).decode().lower() for octets in drawn]
        self._store.replace_recovery_codes(user.id, [_recovery_digest(text) for text in texts])
        self._audit.record("recoverycodes.drawn", actor=user.name, detail={"user": user.name})
        return ["-".join(text[i : i + 4] for i in range(0, len(text), 4)) for text in texts]


def _recovery_digest(typed: str) -> bytes:
    return opaque.digest(typed.lower())


def _about(user: User) -> str:
    return f"totp {user.id}"
