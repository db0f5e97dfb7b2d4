"""Digests of what must be recognised and not be read: HMAC-SM3 under a key that nobody sees.

An identity card number has so few possible values that a plain digest is as good as the number.
The key of the digest is 32 random octets, at rest only under a key that stays in the keystore
(`keystore.storagekey`), and in memory from the first use on. Without the keystore the digests
say nothing.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from typing import Final, Protocol

from core.errors import BackendUnavailable
from keystore.keyref import KeyRef
from keystore.storagekey import StorageBackend, StorageKey

_KEY_OCTETS: Final = 32


class SealedKeyStore(Protocol):
    """Remembers the sealed key of the digests."""

    def find_sealed_key(self) -> bytes | None: ...

    def keep_sealed_key(self, sealed: bytes) -> bytes:
        """Keep the first one; return the one that is kept, ours or an earlier one."""
        ...


class KeyedDigests:
    """Makes digests. Safe to share between threads; the key is made and opened at first use."""

    def __init__(self, keystore: StorageBackend, ref: KeyRef, store: SealedKeyStore) -> None:
        self._storage_key = StorageKey(keystore, ref)
        self._store = store
        self._key: bytes | None = None
        self._lock = threading.Lock()

    def digest(self, text: str) -> str:
        """Return 64 hex digits. Raises `BackendUnavailable` without the keystore's key."""
        with self._lock:
            if self._key is None:
                self._key = self._open()
        return hmac.digest(self._key, text.encode(), "sm3").hex()

    def _open(self) -> bytes:
        sealed = self._store.find_sealed_key()
        if sealed is None:
            self._storage_key.make()
            drawn = secrets.token_bytes(_KEY_OCTETS)
            sealed = self._store.keep_sealed_key(self._storage_key.wrap(drawn))
        key = self._storage_key.unwrap(sealed, what="the key of the identifiers' digests")
        if len(key) != _KEY_OCTETS:
            raise BackendUnavailable(
                f"what opens with {self._storage_key.ref} is no key of digests"
            )
        return key
