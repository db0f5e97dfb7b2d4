"""Digests of what must be recognised and not be read: HMAC-SM3 under a key that nobody sees.

An identity card number has so few possible values that a plain digest is as good as the number.
The key of the digest is 32 random octets, at rest only as an SM2 ciphertext to a key that stays
in the keystore (as the storage key of the key management centre, decisions/0050), and in memory
from the first use on. Without the keystore the digests say nothing.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from typing import Final, Protocol

from core.errors import BackendUnavailable, Malformed, NotFound
from keystore import sm2
from keystore.algorithms import KeyAlgorithm
from keystore.backend import DecryptsSM2, KeyBackend
from keystore.keyref import KeyRef

_KEY_OCTETS: Final = 32


class DigestBackend(KeyBackend, DecryptsSM2, Protocol):
    """A keystore that can hold the key to the digest's key."""


class SealedKeyStore(Protocol):
    """Remembers the sealed key of the digests."""

    def find_sealed_key(self) -> bytes | None: ...

    def keep_sealed_key(self, sealed: bytes) -> bytes:
        """Keep the first one; return the one that is kept, ours or an earlier one."""
        ...


class KeyedDigests:
    """Makes digests. Safe to share between threads; the key is made and opened at first use."""

    def __init__(self, keystore: DigestBackend, ref: KeyRef, store: SealedKeyStore) -> None:
        self._keystore = keystore
        self._ref = ref
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
            info = self._keystore.find(self._ref)
            if info is None:
                info = self._keystore.generate(self._ref, KeyAlgorithm.SM2)
            drawn = secrets.token_bytes(_KEY_OCTETS)
            sealed = self._store.keep_sealed_key(sm2.encrypt(info.public_key, drawn))
        try:
            key = self._keystore.decrypt_sm2(self._ref, sealed)
        except (NotFound, Malformed) as error:
            raise BackendUnavailable(
                f"the key of the identifiers' digests does not open with {self._ref}: "
                "restore the keystore"
            ) from error
        if len(key) != _KEY_OCTETS:
            raise BackendUnavailable(f"what opens with {self._ref} is no key of digests")
        return key
