"""Private keys at rest: each under an SM4 key of its own, that one under the storage key.

The storage key is an SM2 key that stays in the keystore: sealing needs only its public half, and
every opening goes through the keystore's seam, so that a device can hold it (decisions/0050).
"""

from __future__ import annotations

import json
import logging
import secrets
from dataclasses import dataclass
from typing import Protocol

from core.errors import BackendUnavailable, Malformed, Misconfigured, NotFound, Refused
from keystore import sm2, sm4, softkey
from keystore.algorithms import KeyAlgorithm
from keystore.backend import DecryptsSM2, KeyBackend
from keystore.keyref import KeyRef
from keystore.softkey import SoftKey

log = logging.getLogger(__name__)


class StorageBackend(KeyBackend, DecryptsSM2, Protocol):
    """A keystore that can hold a storage key."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A private key that only the keystore can open."""

    storage_key: KeyRef
    wrapped_key: bytes
    """DER SM2Cipher of the SM4 key, to the storage key."""
    ciphertext: bytes
    """SM4-GCM: nonce, PKCS#8, tag."""


class Vault:
    """Seals and opens escrowed keys."""

    def __init__(self, keystore: StorageBackend, storage_key: KeyRef) -> None:
        self._keystore = keystore
        self._storage_key = storage_key

    def prepare(self, *, in_use: bool) -> None:
        """Make the storage key if it was never used. Raises `Misconfigured` if it cannot decrypt.

        `in_use` True: keys are sealed already. A storage key that is missing then is never
        replaced: the centre stays unavailable until it is restored, and the rest of the
        service works.
        """
        info = self._keystore.find(self._storage_key)
        if info is None and in_use:
            log.error("the storage key is missing", extra={"key": self._storage_key})
            return
        if info is None:
            info = self._keystore.generate(self._storage_key, KeyAlgorithm.SM2)
        probe = secrets.token_bytes(sm4.KEY_OCTETS)
        try:
            opened = self._keystore.decrypt_sm2(
                self._storage_key, sm2.encrypt(info.public_key, probe)
            )
        except (Refused, Malformed) as error:
            raise Misconfigured(
                f"key_management.storage_key: {self._storage_key} does not open SM2 ciphertexts"
            ) from error
        if opened != probe:
            raise Misconfigured(f"the storage key {self._storage_key} decrypts wrongly")

    def seal(self, private: SoftKey, *, key_id: str) -> Sealed:
        """Seal a key under the storage key. Raises `BackendUnavailable`."""
        info = self._keystore.find(self._storage_key)
        if info is None:
            raise BackendUnavailable("the storage key of the key management centre is missing")
        key = secrets.token_bytes(sm4.KEY_OCTETS)
        about = _about(key_id, private.public_key)
        return Sealed(
            storage_key=self._storage_key,
            wrapped_key=sm2.encrypt(info.public_key, key),
            ciphertext=sm4.seal(key, private.pkcs8(), about=about),
        )

    def open(
        self, sealed: Sealed, *, key_id: str, algorithm: KeyAlgorithm, public_key: bytes
    ) -> SoftKey:
        """Open a key that was sealed as `key_id`. Raises `BackendUnavailable`."""
        try:
            key = self._keystore.decrypt_sm2(sealed.storage_key, sealed.wrapped_key)
            pkcs8 = sm4.unseal(key, sealed.ciphertext, about=_about(key_id, public_key))
            private = softkey.load(algorithm, pkcs8)
        except (NotFound, Malformed, ValueError) as error:
            # Not the parser's words: they may quote what is inside.
            raise BackendUnavailable(
                f"the escrowed key {key_id} does not open with {sealed.storage_key}"
            ) from error
        if private.public_key != public_key:
            raise BackendUnavailable(f"the escrowed key {key_id} is another key than it says")
        return private


def _about(key_id: str, public_key: bytes) -> bytes:
    return json.dumps(["escrowed key", 1, key_id, public_key.hex()]).encode()
