"""Hashing passwords with Argon2id (RFC 9106)."""

from __future__ import annotations

import re
import secrets
import threading
import time
import unicodedata
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from authn.config import PasswordConfig
from core.argon2 import SEVERAL_LANES
from core.errors import Unavailable

MAX_CHARACTERS: Final = 128
_WAIT_SECONDS: Final = 10
_LANES: Final = re.compile(r"[,$]p=([0-9]+)")


class PasswordHasher:
    """Hashes and verifies; no more at once than the configuration allows.

    Those of several lanes go one after the other (`core.argon2`).
    """

    def __init__(self, config: PasswordConfig) -> None:
        self._config = config
        self._free = threading.BoundedSemaphore(config.concurrent_hashes)
        self._decoy = self.hash(secrets.token_urlsafe(32))

    def hash(self, password: str) -> str:
        """Return the PHC string of `password`."""
        with self._admitted(self._config.lanes):
            return Argon2id(
                salt=secrets.token_bytes(16),
                length=32,
                iterations=self._config.iterations,
                lanes=self._config.lanes,
                memory_cost=self._config.memory_kibibytes,
            ).derive_phc_encoded(_octets(password))

    def matches(self, password: str, stored: str | None) -> bool:
        """Tell whether `password` was hashed to `stored`.

        With None (no such user, or none with a password) it works as hard and says no, so that
        the time of the answer does not tell who exists.
        """
        if len(password) > MAX_CHARACTERS:
            return False
        judged = stored or self._decoy
        with self._admitted(_lanes_of(judged)):
            try:
                Argon2id.verify_phc_encoded(_octets(password), judged)
            except InvalidKey:
                return False
        return stored is not None

    @contextmanager
    def _admitted(self, lanes: int) -> Iterator[None]:
        """Wait for one's turn. Raises `Unavailable`."""
        ends = time.monotonic() + _WAIT_SECONDS
        with ExitStack() as held:
            for turn in (SEVERAL_LANES, self._free) if lanes > 1 else (self._free,):
                if not turn.acquire(timeout=max(0.0, ends - time.monotonic())):
                    raise Unavailable("too many logins at the same time; try again in a moment")
                held.callback(turn.release)
            yield


def _lanes_of(phc: str) -> int:
    """Return the parallelism that a PHC string names; several if it names none."""
    found = _LANES.search(phc)
    return 2 if found is None else int(found[1])


def _octets(password: str) -> bytes:
    # The same password typed through two input methods gives the same octets.
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
