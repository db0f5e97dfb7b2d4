"""Hashing passwords with Argon2id (RFC 9106)."""

from __future__ import annotations

import binascii
import os
import re
import secrets
import threading
import time
import unicodedata
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hmac import compare_digest
from typing import Final

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from nacl.bindings import crypto_pwhash_alg, crypto_pwhash_ALG_ARGON2ID13
from nacl.exceptions import RuntimeError as OutOfMemory

from authn.config import PasswordConfig
from core.argon2 import SEVERAL_LANES
from core.errors import Unavailable

MAX_CHARACTERS: Final = 128
_WAIT_SECONDS: Final = 10
_OCTETS: Final = 32
_OURS: Final = re.compile(
    r"\$argon2id\$v=19\$m=([0-9]+),t=([0-9]+),p=1\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)\Z"
)
"""PHC string of one lane: KiB of memory, passes, salt, hash."""


class PasswordHasher:
    """Hashes and verifies; no more at once than the configuration allows.

    Each of several `processes` has its share of them, and one at least.

    New hashes have one lane (decision 0214). Those of several, made before, are verified one after
    the other (`core.argon2`).
    """

    def __init__(self, config: PasswordConfig, *, processes: int = 1) -> None:
        self._config = config
        # More than there are processors would take memory, and nobody's turn would come sooner.
        at_once = config.concurrent_hashes or len(os.sched_getaffinity(0))
        self._free = threading.BoundedSemaphore(max(1, at_once // processes))
        # No password is known to have it, and making one would cost every command a hash.
        self._decoy = self._written(secrets.token_bytes(16), secrets.token_bytes(_OCTETS))

    def hash(self, password: str) -> str:
        """Return the PHC string of `password`. Raises `Unavailable`."""
        salt, config = secrets.token_bytes(16), self._config
        kibibytes, passes = config.memory_kibibytes, config.iterations
        with self._admitted(lanes=1):
            made = _derive(password, salt, kibibytes=kibibytes, passes=passes)
        return self._written(salt, made)

    def matches(self, password: str, stored: str | None) -> bool:
        """Tell whether `password` was hashed to `stored`.

        With None (no such user, or none with a password) it works as hard and says no, so that
        the time of the answer does not tell who exists.
        """
        if len(password) > MAX_CHARACTERS:
            return False
        ours = _OURS.match(stored or self._decoy)
        if ours is None:
            return self._matches_of_several_lanes(password, stored or "")
        kibibytes, passes, salt, kept = ours.groups()
        with self._admitted(lanes=1):
            made = _derive(password, _decode(salt), kibibytes=int(kibibytes), passes=int(passes))
        return compare_digest(made, _decode(kept)) and stored is not None

    def _written(self, salt: bytes, made: bytes) -> str:
        kibibytes, passes = self._config.memory_kibibytes, self._config.iterations
        return f"$argon2id$v=19$m={kibibytes},t={passes},p=1${_encode(salt)}${_encode(made)}"

    def _matches_of_several_lanes(self, password: str, stored: str) -> bool:
        with self._admitted(lanes=2):
            try:
                Argon2id.verify_phc_encoded(_octets(password), stored)
            except InvalidKey:
                return False
        return True

    @contextmanager
    def _admitted(self, *, lanes: int) -> Iterator[None]:
        """Wait for one's turn. Raises `Unavailable`."""
        ends = time.monotonic() + _WAIT_SECONDS
        with ExitStack() as held:
            for turn in (SEVERAL_LANES, self._free) if lanes > 1 else (self._free,):
                if not turn.acquire(timeout=max(0.0, ends - time.monotonic())):
                    raise Unavailable("too many logins at the same time; try again in a moment")
                held.callback(turn.release)
            yield


def _derive(password: str, salt: bytes, *, kibibytes: int, passes: int) -> bytes:
    try:
        return crypto_pwhash_alg(
            _OCTETS, _octets(password), salt, passes, kibibytes << 10, crypto_pwhash_ALG_ARGON2ID13
        )
    except OutOfMemory as error:  # the only cause of it
        raise Unavailable("there is no memory to check a password; try again") from error


def _encode(octets: bytes) -> str:
    return binascii.b2a_base64(octets, newline=False).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return binascii.a2b_base64(text + "=" * (-len(text) % 4))


def _octets(password: str) -> bytes:
    # The same password typed through two input methods gives the same octets.
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
