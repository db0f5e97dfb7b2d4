"""Public keys that are never certified again: stolen, shared, or known to be weak.

A key is blocked for good: nothing here takes one off the list.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from core.audit import AuditLog
from core.clock import Clock
from core.errors import Malformed
from core.transaction import Transactions

_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class BlockedKey:
    """One key, by SHA-256 over its SubjectPublicKeyInfo (lowercase hex)."""

    spki_fingerprint: str
    reason: str
    actor: str
    blocked_at: datetime


class BlockedKeyStore(Protocol):
    """Remembers blocked keys for ever."""

    def add_blocked_key(self, key: BlockedKey) -> bool:
        """False: it is blocked already."""
        ...

    def stamp_of_blocked_keys(self) -> tuple[int, int]:
        """Return what changes with every blocked key: how many there are, the largest number."""
        ...

    def list_blocked_keys(
        self, *, after: int = 0, limit: int | None = None
    ) -> Sequence[tuple[int, BlockedKey]]:
        """Return keys with their numbers, in the order in which they were blocked."""
        ...


class BlockedKeys:
    """The list, as a container of fingerprints for `ca.keycheck.check_key`.

    Asking costs no query: a copy is kept, and brought up to date at most once a second. So a key
    that another process blocked is refused here a second later.
    """

    def __init__(
        self,
        store: BlockedKeyStore,
        *,
        configured: Collection[str] = (),
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._transactions = transactions
        self._audit = audit
        self._clock = clock
        self._lock = threading.Lock()
        self._configured = frozenset(configured)
        self._known = self._configured
        self._stamp = (0, 0)
        self._read_at: datetime | None = None

    def __contains__(self, fingerprint: object) -> bool:
        now = self._clock.now()
        with self._lock:
            if now != self._read_at:
                self._read()
                self._read_at = now
            return fingerprint in self._known

    def block(self, fingerprint: str, *, reason: str, actor: str) -> bool:
        """Block a key; False when it is blocked already. Raises `Malformed`."""
        if _FINGERPRINT.fullmatch(fingerprint) is None:
            raise Malformed("a key is named by SHA-256 of its SubjectPublicKeyInfo, lowercase hex")
        key = BlockedKey(fingerprint, reason, actor, self._clock.now())
        with self._transactions.transaction():
            added = self._store.add_blocked_key(key)
            if added:
                detail = {"key": fingerprint, "why": reason}
                self._audit.record("key.blocked", actor=actor, detail=detail)
        with self._lock:
            self._read_at = None
        return added

    def list_keys(self, *, after: int = 0, limit: int) -> Sequence[tuple[int, BlockedKey]]:
        """Return keys with their numbers, in the order in which they were blocked."""
        return self._store.list_blocked_keys(after=after, limit=limit)

    def _read(self) -> None:
        # Not only the rows behind the last one: of two transactions at once, the one with the
        # smaller number may commit last.
        stamp = self._store.stamp_of_blocked_keys()
        if stamp != self._stamp:
            stored = self._store.list_blocked_keys()
            self._known = self._configured | {key.spki_fingerprint for _, key in stored}
            self._stamp = stamp
