"""One symmetric key of the service: at rest only as a ciphertext to a key of the keystore.

It is drawn at first use, sealed to an SM2 key that stays in the keystore (decisions/0050), and held
in memory from then on. Whoever has the database alone has nothing.
"""

from __future__ import annotations

import secrets
import threading
from typing import Protocol

from core.errors import BackendUnavailable, Malformed, NotFound
from keystore import sm2
from keystore.algorithms import KeyAlgorithm
from keystore.backend import DecryptsSM2, KeyBackend
from keystore.keyref import KeyRef


class SealingBackend(KeyBackend, DecryptsSM2, Protocol):
    """A keystore that can hold the key to the key."""


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
        keystore: SealingBackend,
        ref: KeyRef,
        store: SealedKeyStore,
        *,
        octets: int,
        what: str,
    ) -> None:
        self._keystore = keystore
        self._ref = ref
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
            info = self._keystore.find(self._ref)
            if info is None:
                info = self._keystore.generate(self._ref, KeyAlgorithm.SM2)
            drawn = secrets.token_bytes(self._octets)
            sealed = self._store.keep_sealed_key(sm2.encrypt(info.public_key, drawn))
        try:
            key = self._keystore.decrypt_sm2(self._ref, sealed)
        except (NotFound, Malformed) as error:
            raise BackendUnavailable(
                f"{self._what} does not open with {self._ref}: restore the keystore"
            ) from error
        if len(key) != self._octets:
            raise BackendUnavailable(f"what opens with {self._ref} is not {self._what}")
        return key
