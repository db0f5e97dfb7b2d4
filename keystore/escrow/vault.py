"""Private keys at rest: each under an SM4 key of its own, that one under the storage key.

The storage key stays in the keystore, in software or on a token (`keystore.storagekey`,
decisions/0050 and 0105).
"""

from __future__ import annotations

import json
import logging
import secrets
from dataclasses import dataclass, replace

from core.errors import BackendUnavailable, Malformed
from keystore import sm4, softkey
from keystore.algorithms import KeyAlgorithm
from keystore.keyref import KeyRef
from keystore.softkey import SoftKey
from keystore.storagekey import StorageBackend, StorageKey

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sealed:
    """A private key that only the keystore can open."""

    storage_key: KeyRef
    wrapped_key: bytes
    """The SM4 key under the storage key: DER SM2Cipher, or RSAES-OAEP."""
    ciphertext: bytes
    """SM4-GCM: nonce, PKCS#8, tag."""


class Vault:
    """Seals and opens escrowed keys."""

    def __init__(self, keystore: StorageBackend, storage_key: KeyRef) -> None:
        self._keystore = keystore
        self._storage_key = StorageKey(keystore, storage_key)

    @property
    def storage_key(self) -> KeyRef:
        """The key under which keys are sealed from now on."""
        return self._storage_key.ref

    def prepare(self, *, in_use: bool) -> None:
        """Make the storage key if it was never used. Raises `Misconfigured` if it cannot decrypt.

        `in_use` True: keys are sealed under it. A storage key that is missing or away then is
        never replaced: the centre stays unavailable until it is back, and the rest of the
        service works.
        """
        if not in_use:
            self._storage_key.make()
            return
        try:
            if not self._storage_key.exists():
                log.error("the storage key is missing", extra={"key": self._storage_key.ref})
                return
            self._storage_key.require_opens()
        except BackendUnavailable:
            log.exception("the storage key cannot be reached", extra={"key": self._storage_key.ref})

    def seal(self, private: SoftKey, *, key_id: str) -> Sealed:
        """Seal a key under the storage key. Raises `BackendUnavailable`."""
        key = secrets.token_bytes(sm4.KEY_OCTETS)
        about = _about(key_id, private.public_key)
        return Sealed(
            storage_key=self._storage_key.ref,
            wrapped_key=self._storage_key.wrap(key),
            ciphertext=sm4.seal(key, private.pkcs8(), about=about),
        )

    def reseal(self, sealed: Sealed, *, key_id: str) -> Sealed:
        """Put a key that is under another storage key under ours; its private half stays sealed.

        Raises `BackendUnavailable` when either storage key cannot be reached.
        """
        under = StorageKey(self._keystore, sealed.storage_key)
        key = under.unwrap(sealed.wrapped_key, what=f"the escrowed key {key_id}")
        return replace(
            sealed, storage_key=self._storage_key.ref, wrapped_key=self._storage_key.wrap(key)
        )

    def open(
        self, sealed: Sealed, *, key_id: str, algorithm: KeyAlgorithm, public_key: bytes
    ) -> SoftKey:
        """Open a key that was sealed as `key_id`. Raises `BackendUnavailable`."""
        under = StorageKey(self._keystore, sealed.storage_key)  # an older one than ours, perhaps
        key = under.unwrap(sealed.wrapped_key, what=f"the escrowed key {key_id}")
        try:
            pkcs8 = sm4.unseal(key, sealed.ciphertext, about=_about(key_id, public_key))
            private = softkey.load(algorithm, pkcs8)
        except (Malformed, ValueError) as error:
            # Not the parser's words: they may quote what is inside.
            raise BackendUnavailable(
                f"the escrowed key {key_id} does not open with {sealed.storage_key}"
            ) from error
        if private.public_key != public_key:
            raise BackendUnavailable(f"the escrowed key {key_id} is another key than it says")
        return private


def _about(key_id: str, public_key: bytes) -> bytes:
    return json.dumps(["escrowed key", 1, key_id, public_key.hex()]).encode()
