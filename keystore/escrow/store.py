"""What the key management centre remembers, as protocols. `keystore.escrow.sqlstore` has them.

Every method joins the open transaction (`core.transaction`) or is durable on its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from keystore.algorithms import KeyAlgorithm
from keystore.escrow.vault import Sealed
from keystore.keyref import KeyRef


class KeyState(StrEnum):
    """Which pool a key is in. It only ever moves down this list."""

    STANDBY = "standby"
    """Made ahead, nobody's yet."""
    IN_USE = "in-use"
    """Assigned to one request for one pair of certificates, for ever."""
    HISTORY = "history"
    """Its certificate has ended; what was encrypted to it can still be recovered."""


@dataclass(frozen=True, slots=True)
class EscrowedKey:
    """One encryption key pair, the private half sealed."""

    id: str
    """32 hex digits."""
    state: KeyState
    algorithm: KeyAlgorithm
    public_key: bytes
    """DER SubjectPublicKeyInfo."""
    sealed: Sealed
    created_at: datetime
    request_id: str | None = None
    """Whose it is; None on standby."""
    signing_key: str | None = None
    """SHA-256 of the SubjectPublicKeyInfo it was first enveloped to, lowercase hex."""
    assigned_at: datetime | None = None
    retired_at: datetime | None = None
    delivered_at: datetime | None = None
    """When it was handed over in a PKCS#12 file: once."""


@dataclass(frozen=True, slots=True)
class CentreIdentity:
    """With what the centre signs, as its certificate names it."""

    spki_fingerprint: str
    certificate: bytes
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Assignment:
    """Who takes a key from standby."""

    request_id: str
    algorithm: KeyAlgorithm
    signing_key: str
    at: datetime


class RecoveryKind(StrEnum):
    """The two recoveries that GB/T 25056 keeps apart."""

    USER = "user"
    """The holder lost the key: it goes to the same subject's valid signing certificate."""
    JUDICIAL = "judicial"
    """An authority is entitled to it: it goes to that authority's public key."""


class RecoveryState(StrEnum):
    """Where a recovery is in its life."""

    REQUESTED = "requested"
    APPROVED = "approved"
    DELIVERED = "delivered"
    REJECTED = "rejected"
    EXPIRED = "expired"
    """Not stored: it follows from `expires_at`."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """The wish to have an escrowed key, and what officers said to it."""

    id: str
    kind: RecoveryKind
    state: RecoveryState
    key_id: str
    recipient: bytes
    """DER SubjectPublicKeyInfo, SM2."""
    reason: str
    requester: str
    created_at: datetime
    expires_at: datetime
    approvers: tuple[str, ...] = ()
    rejected_by: str | None = None
    delivered_at: datetime | None = None


class EscrowStore(Protocol):
    """Remembers every escrowed key."""

    def add_key(self, key: EscrowedKey) -> None: ...

    def take_standby(self, assignment: Assignment) -> EscrowedKey | None:
        """Assign the oldest fitting key on standby; of many callers no two get the same.

        None when the pool is empty. Raises `Conflict` when the request has a key already.
        """
        ...

    def find_key(self, key_id: str) -> EscrowedKey | None: ...

    def find_by_request(self, request_id: str) -> EscrowedKey | None: ...

    def find_by_fingerprint(self, fingerprint: str) -> EscrowedKey | None:
        """Find by SHA-256 over the SubjectPublicKeyInfo, lowercase hex."""
        ...

    def retire(self, request_id: str, *, at: datetime) -> bool:
        """Move a key from in use to history. False: it was not in use."""
        ...

    def mark_delivered(self, key_id: str, *, at: datetime) -> bool:
        """Note that a key in use went out in a PKCS#12 file. Of many callers, one gets True."""
        ...

    def count_keys(self, algorithm: KeyAlgorithm | None = None) -> Mapping[KeyState, int]:
        """Count the keys of one algorithm, or of all."""
        ...

    def count_under(self, storage_key: KeyRef) -> int:
        """Count the keys that are sealed under this storage key."""
        ...

    def list_under_others(self, storage_key: KeyRef, *, limit: int) -> Sequence[EscrowedKey]:
        """Return some keys that are sealed under another storage key, oldest first."""
        ...

    def reseal(self, key_id: str, *, before: Sealed, after: Sealed) -> bool:
        """Change what a key is sealed under. False: somebody else has changed it."""
        ...

    def find_identity(self, spki_fingerprint: str) -> CentreIdentity | None: ...

    def keep_identity(self, identity: CentreIdentity) -> CentreIdentity:
        """Remember it, if the key has none yet; return the one that is remembered."""
        ...


class RecoveryStore(Protocol):
    """Remembers every recovery for ever."""

    def add_recovery(self, recovery: Recovery) -> None: ...

    def find_recovery(self, recovery_id: str, *, lock: bool = False) -> Recovery | None:
        """`lock`: nobody else changes it before the open transaction ends."""
        ...

    def list_recoveries(
        self,
        *,
        now: datetime,
        limit: int,
        state: RecoveryState | None = None,
        requester: str | None = None,
        sort: str | None = None,
        after: str | None = None,
    ) -> Sequence[Recovery]:
        """Return the newest first."""
        ...

    def list_of_key(self, key_id: str, *, limit: int) -> Sequence[Recovery]:
        """Return those of one key, newest first."""
        ...

    def add_approval(self, recovery_id: str, officer: str, *, at: datetime) -> None:
        """Raises `Conflict` when this officer approved before."""
        ...

    def change_recovery(
        self,
        recovery_id: str,
        state: RecoveryState,
        *,
        expected: tuple[RecoveryState, ...],
        at: datetime,
        by: str,
    ) -> bool:
        """Move to `state` from one of `expected`. Of many callers at once, one gets True."""
        ...
