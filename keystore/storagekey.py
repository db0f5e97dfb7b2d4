"""A storage key: it stays in the keystore, and symmetric keys are at rest under it.

Wrapping needs its public half only; every opening goes through the keystore's seam, so that a
device can hold it, count and refuse (decisions/0050 and 0105).
"""

from __future__ import annotations

import contextlib
import logging
import secrets
from typing import Final, Protocol

from core.errors import BackendUnavailable, Conflict, Malformed, Misconfigured, NotFound, Refused
from keystore.backend import DecryptsSM2, KeyBackend, WrapsKeys
from keystore.keyref import KeyRef

log = logging.getLogger(__name__)

_PROBE_OCTETS: Final = 16


class StorageBackend(KeyBackend, WrapsKeys, DecryptsSM2, Protocol):
    """A keystore that can hold a storage key, and open what is sealed to an SM2 key."""


class StorageKey:
    """One storage key by its reference. Safe to share between threads."""

    def __init__(self, keystore: StorageBackend, ref: KeyRef) -> None:
        self._keystore = keystore
        self.ref = ref

    def exists(self) -> bool:
        """Raises `BackendUnavailable` when the keystore cannot be asked."""
        return self._keystore.find(self.ref) is not None

    def make(self) -> None:
        """Make the key, unless it is there. Raises `Misconfigured` if it does not open again.

        Only for who knows that nothing is under a key of this name: what is lost stays lost.
        """
        if not self.exists():
            with contextlib.suppress(Conflict):  # another process made it at the same moment
                self._keystore.generate_wrapping(self.ref)
                log.info("made a storage key", extra={"key": self.ref})
        self.require_opens()

    def require_opens(self) -> None:
        """Raises `Misconfigured` unless what is put under the key comes out again."""
        probe = secrets.token_bytes(_PROBE_OCTETS)
        try:
            opened = self._keystore.unwrap_key(self.ref, self._keystore.wrap_key(self.ref, probe))
        except (Refused, Malformed) as error:
            raise Misconfigured(
                f"{self.ref} does not serve as a storage key, since it does not decrypt: {error}"
            ) from error
        if not secrets.compare_digest(opened, probe):
            raise Misconfigured(f"the storage key {self.ref} decrypts wrongly")

    def wrap(self, key: bytes) -> bytes:
        """Put a symmetric key under it. Raises `BackendUnavailable`."""
        try:
            return self._keystore.wrap_key(self.ref, key)
        except NotFound as error:
            raise BackendUnavailable(
                f"the storage key {self.ref} is missing: restore the keystore"
            ) from error

    def unwrap(self, wrapped: bytes, *, what: str) -> bytes:
        """Take it out. Raises `BackendUnavailable`, which names `what` was to be opened."""
        try:
            return self._keystore.unwrap_key(self.ref, wrapped)
        except (NotFound, Malformed, Refused) as error:
            raise BackendUnavailable(
                f"{what} does not open with {self.ref}: restore the keystore"
            ) from error
