"""A key backend in memory: every algorithm, nothing on disk, and it can be made to fail."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from threading import Lock

from core.errors import BackendUnavailable, Conflict, NotFound
from keystore import keyref, keywrap, softkey
from keystore.algorithms import KeyAlgorithm, SignatureAlgorithm
from keystore.backend import KeyInfo, Signer
from keystore.keyref import KeyRef
from keystore.softkey import SoftKey

_made: dict[KeyAlgorithm, list[SoftKey]] = {}
_lock = Lock()


class MemoryKeyBackend:
    """Scheme ``memory``. `signed` remembers every message that any of its signers was given.

    Making an RSA key is slow, so the n-th key of an algorithm is the same in every instance of
    this process; within one instance all keys differ.
    """

    def __init__(self) -> None:
        self._keys: dict[KeyRef, SoftKey] = {}
        self._count: dict[KeyAlgorithm, int] = {}
        self.signed: list[tuple[KeyRef, bytes]] = []
        self.broken = False
        self.closed = False

    def generate(self, ref: KeyRef, algorithm: KeyAlgorithm) -> KeyInfo:
        self.require_open()
        if ref in self._keys:
            raise Conflict(f"{ref} exists")
        index = self._count.get(algorithm, 0)
        self._count[algorithm] = index + 1
        self._keys[ref] = _nth_key(algorithm, index)
        return self._info(ref)

    def find(self, ref: KeyRef) -> KeyInfo | None:
        self.require_open()
        return self._info(ref) if ref in self._keys else None

    def list_keys(self) -> tuple[KeyInfo, ...]:
        self.require_open()
        return tuple(self._info(ref) for ref in sorted(self._keys))

    def signer(self, ref: KeyRef, algorithm: SignatureAlgorithm | None = None) -> Signer:
        self.require_open()
        if ref not in self._keys:
            raise NotFound(f"there is no key {ref}")
        key = self._keys[ref]
        chosen = algorithm or key.algorithm.default_signature
        softkey.require_signs(key.algorithm, chosen)
        return MemorySigner(self._info(ref), chosen, key, self)

    def destroy(self, ref: KeyRef) -> None:
        self.require_open()
        if self._keys.pop(ref, None) is None:
            raise NotFound(f"there is no key {ref}")

    def decrypt_sm2(self, ref: KeyRef, ciphertext: bytes) -> bytes:
        self.require_open()
        if ref not in self._keys:
            raise NotFound(f"there is no key {ref}")
        return self._keys[ref].decrypt_sm2(ciphertext)

    def generate_wrapping(self, ref: KeyRef) -> KeyInfo:
        return self.generate(ref, KeyAlgorithm.SM2)

    def wrap_key(self, ref: KeyRef, key: bytes) -> bytes:
        self.require_open()
        if ref not in self._keys:
            raise NotFound(f"there is no key {ref}")
        return keywrap.wrap(self._keys[ref].public_key, key)

    def unwrap_key(self, ref: KeyRef, wrapped: bytes) -> bytes:
        self.require_open()
        if ref not in self._keys:
            raise NotFound(f"there is no key {ref}")
        return self._keys[ref].unwrap_key(wrapped)

    def give(self) -> MemoryKeyBackend:
        """Return another with the same keys, which has signed the same."""
        other = MemoryKeyBackend()
        other.take(self)
        return other

    def take(self, other: MemoryKeyBackend) -> None:
        """Have the keys of another, and have signed what it has."""
        self._keys, self._count = dict(other._keys), dict(other._count)
        self.signed = list(other.signed)

    def close(self) -> None:
        self.closed = True

    def require_open(self) -> None:
        if self.broken or self.closed:
            raise BackendUnavailable("the memory backend is closed or broken")

    def _info(self, ref: KeyRef) -> KeyInfo:
        key = self._keys[ref]
        return KeyInfo(ref, key.algorithm, key.public_key)


@dataclass(frozen=True, slots=True)
class MemorySigner:
    key: KeyInfo
    algorithm: SignatureAlgorithm
    private: SoftKey
    backend: MemoryKeyBackend

    @property
    def in_memory(self) -> bool:
        return True

    def sign(self, message: bytes) -> bytes:
        self.backend.require_open()
        if self.backend.find(self.key.ref) is None:
            raise NotFound(f"there is no key {self.key.ref}")
        self.backend.signed.append((self.key.ref, message))
        return self.private.sign(self.algorithm, message)


@cache
def memory_key(algorithm: KeyAlgorithm) -> Signer:
    """A signer of its own, the same one for every caller in this process."""
    backend = MemoryKeyBackend()
    ref = keyref.make("memory", object=f"shared-{algorithm}")
    backend.generate(ref, algorithm)
    return backend.signer(ref)


def _nth_key(algorithm: KeyAlgorithm, index: int) -> SoftKey:
    with _lock:
        known = _made.setdefault(algorithm, [])
        while len(known) <= index:
            known.append(softkey.generate(algorithm))
        return known[index]
