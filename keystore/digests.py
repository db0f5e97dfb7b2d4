"""Digests of what must be recognised and not be read: HMAC-SM3 under a key that nobody sees.

An identity card number has so few possible values that a plain digest is as good as the number.
The key of the digest is at rest only sealed (`keystore.sealedkey`). Without the keystore the
digests say nothing.
"""

from __future__ import annotations

import hmac
from typing import Final

from keystore.keyref import KeyRef
from keystore.sealedkey import SealedKey, SealedKeyStore
from keystore.storagekey import StorageBackend

_KEY_OCTETS: Final = 32


class KeyedDigests:
    """Makes digests. Safe to share between threads; the key is made and opened at first use."""

    def __init__(self, keystore: StorageBackend, ref: KeyRef, store: SealedKeyStore) -> None:
        what = "the key of the identifiers' digests"
        self._key = SealedKey(keystore, ref, store, octets=_KEY_OCTETS, what=what)

    def digest(self, text: str) -> str:
        """Return 64 hex digits. Raises `BackendUnavailable` without the keystore's key."""
        return hmac.digest(self._key.get(), text.encode(), "sm3").hex()
