"""Hashing passwords with Argon2id (RFC 9106)."""

from __future__ import annotations

import secrets
import threading
import unicodedata
from typing import Final

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from authn.config import PasswordConfig
from core.errors import Unavailable

MAX_CHARACTERS: Final = 128
_WAIT_SECONDS: Final = 10


class PasswordHasher:
    """Hashes and verifies; no more at once than the configuration allows."""

    def __init__(self, config: PasswordConfig) -> None:
        self._config = config
        self._free = threading.BoundedSemaphore(config.concurrent_hashes)
        self._decoy = self.hash(secrets.token_urlsafe(32))

    def hash(self, password: str) -> str:
        """Return the PHC string of `password`."""
        self._acquire()
        try:
            return Argon2id(
                salt=secrets.token_bytes(16),
                length=32,
                iterations=self._config.iterations,
                lanes=self._config.lanes,
                memory_cost=self._config.memory_kibibytes,
            ).derive_phc_encoded(_octets(password))
        finally:
            self._free.release()

    def matches(self, password: str, stored: str | None) -> bool:
        """Tell whether `password` was hashed to `stored`.

        With None (no such user, or none with a password) it works as hard and says no, so that
        the time of the answer does not tell who exists.
        """
        if len(password) > MAX_CHARACTERS:
            return False
        self._acquire()
        try:
            Argon2id.verify_phc_encoded(_octets(password), stored or self._decoy)
        except InvalidKey:
            return False
        finally:
            self._free.release()
        return stored is not None

    def _acquire(self) -> None:
        if not self._free.acquire(timeout=_WAIT_SECONDS):
            raise Unavailable("too many logins at the same time; try again in a moment")


def _octets(password: str) -> bytes:
    # The same password typed through two input methods gives the same octets.
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
