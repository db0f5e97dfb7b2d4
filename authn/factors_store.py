"""What second factors remember, as protocols. `authn.sqlfactors` implements them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class TOTPFactor:
    """A person's generator of one-time passwords."""

    user_id: str
    sealed: bytes
    """The secret (`keystore.seal`)."""
    created_at: datetime
    confirmed_at: datetime | None
    """When the first right code was shown; None: it does not count yet."""
    last_step: int


class AttemptStore(Protocol):
    """Counts wrong answers, by person and factor."""

    def charge(
        self, user_id: str, factor: str, now: datetime, *, limit: int, locked_until: datetime
    ) -> datetime | None:
        """Count an answer before it is judged; the `limit`-th one locks.

        Returns until when it is locked already; None: it was counted.
        """
        ...

    def forgive(self, user_id: str, factor: str) -> None: ...


class FactorStore(Protocol):
    """One-time passwords and recovery codes."""

    def offer_totp(self, factor: TOTPFactor) -> None:
        """Keep it unconfirmed; replaces one that is not confirmed. `Conflict`: there is one."""
        ...

    def find_totp(self, user_id: str) -> TOTPFactor | None: ...

    def use_totp(self, user_id: str, step: int, now: datetime) -> bool:
        """Compare and set: False when this step or a later one was used. Confirms the factor."""
        ...

    def remove_totp(self, user_id: str) -> bool: ...

    def replace_recovery_codes(self, user_id: str, digests: Sequence[bytes]) -> None: ...

    def use_recovery_code(self, user_id: str, digest: bytes, now: datetime) -> bool:
        """Compare and set: True for exactly one caller."""
        ...

    def count_recovery_codes(self, user_id: str) -> int:
        """Return how many can still be used."""
        ...

    def has_second_factor(self, user_id: str) -> bool:
        """Tell whether there is a confirmed generator or a passkey."""
        ...
