"""One symmetric key of the service: at rest only as a ciphertext to a key of the keystore.

It is drawn at first use, sealed to a key that stays in the keystore (`keystore.storagekey`), and
held in memory from then on. Whoever has the database alone has nothing.
"""

from __future__ import annotations

import secrets
import threading
from typing import Protocol

from core.errors import BackendUnavailable
from keystore.keyref import KeyRef
from keystore.storagekey import StorageBackend, StorageKey


class SealedKeyStore(Protocol):
    """Remembers the sealed key."""

    def find_sealed_key(self) -> bytes | None: ...

    def keep_sealed_key(self, sealed: bytes) -> bytes:
        """Keep the first one; return the one that is kept, ours or an earlier one."""
        ...


class SealedKey:
    """Safe to share between threads."""

    def __init__(
        self,
        keystore: StorageBackend,
        ref: KeyRef,
        store: SealedKeyStore,
        *,
        octets: int,
        what: str,
    ) -> None:
        self._storage_key = StorageKey(keystore, ref)
        self._store = store
        self._octets = octets
        self._what = what
        self._key: bytes | None = None
        self._lock = threading.Lock()

    def get(self) -> bytes:
        """Return the key. Raises `BackendUnavailable` without the keystore's key."""
        with self._lock:
            if self._key is None:
                self._key = self._open()
        return self._key

    def _open(self) -> bytes:
        sealed = self._store.find_sealed_key()
        if sealed is None:
            self._storage_key.make()
            drawn = secrets.token_bytes(self._octets)
            sealed = self._store.keep_sealed_key(self._storage_key.wrap(drawn))
        key = self._storage_key.unwrap(sealed, what=self._what)
        if len(key) != self._octets:
            raise BackendUnavailable(f"what opens with {self._storage_key.ref} is not {self._what}")
        return key
