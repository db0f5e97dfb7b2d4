"""Small secrets that the service has to read again: sealed with SM4-GCM, each to what it is about.

For what cannot be a digest: the secret of a one-time password, an identity number that its holder
may release. The key is a `keystore.sealedkey.SealedKey`.
"""

from __future__ import annotations

from core.errors import BackendUnavailable
from keystore import sm4
from keystore.keyref import KeyRef
from keystore.sealedkey import SealedKey, SealedKeyStore
from keystore.storagekey import StorageBackend


class Seal:
    """Seals and opens. Safe to share between threads."""

    def __init__(self, keystore: StorageBackend, ref: KeyRef, store: SealedKeyStore) -> None:
        what = "the key of the sealed secrets"
        self._key = SealedKey(keystore, ref, store, octets=sm4.KEY_OCTETS, what=what)

    def seal(self, secret: bytes, *, about: str) -> bytes:
        """Return what may be stored. `about` names purpose and owner: it opens for nothing else.

        Raises `BackendUnavailable`.
        """
        return sm4.seal(self._key.get(), secret, about=about.encode())

    def open(self, sealed: bytes, *, about: str) -> bytes:
        """Return the secret. Raises `BackendUnavailable`, also for what was changed or moved."""
        try:
            return sm4.unseal(self._key.get(), sealed, about=about.encode())
        except ValueError as error:
            raise BackendUnavailable(f"the sealed secret about {about} does not open") from error
