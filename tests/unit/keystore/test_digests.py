from __future__ import annotations

import hashlib
import hmac

import pytest

from core.errors import BackendUnavailable
from keystore import keyref, sm2
from keystore.algorithms import KeyAlgorithm
from keystore.digests import KeyedDigests
from tests.fakes.keys import MemoryKeyBackend

REF = keyref.make("memory", object="identifiers")


class MemorySealedKey:
    def __init__(self) -> None:
        self.sealed: bytes | None = None

    def find_sealed_key(self) -> bytes | None:
        return self.sealed

    def keep_sealed_key(self, sealed: bytes) -> bytes:
        self.sealed = self.sealed or sealed
        return self.sealed


def test_a_digest_is_the_same_again_and_nobody_elses() -> None:
    keystore, store = MemoryKeyBackend(), MemorySealedKey()
    first = KeyedDigests(keystore, REF, store).digest("11010519491231002X")
    assert KeyedDigests(keystore, REF, store).digest("11010519491231002X") == first
    assert KeyedDigests(keystore, REF, store).digest("110105194912310021") != first
    assert KeyedDigests(keystore, REF, MemorySealedKey()).digest("11010519491231002X") != first


def test_it_is_hmac_sm3_under_a_key_that_only_the_keystore_opens() -> None:
    keystore, store = MemoryKeyBackend(), MemorySealedKey()
    said = KeyedDigests(keystore, REF, store).digest("a")
    assert store.sealed is not None
    key = keystore.decrypt_sm2(REF, store.sealed)
    assert len(key) == 32
    assert key not in store.sealed
    assert said == hmac.new(key, b"a", lambda: hashlib.new("sm3")).hexdigest()


def test_of_two_nodes_that_begin_at_once_both_use_the_key_that_was_kept() -> None:
    keystore, store = MemoryKeyBackend(), MemorySealedKey()

    class Slow(MemorySealedKey):
        """Looked before the other node had written."""

        def find_sealed_key(self) -> bytes | None:
            return None

        def keep_sealed_key(self, sealed: bytes) -> bytes:
            return store.keep_sealed_key(sealed)

    first = KeyedDigests(keystore, REF, store).digest("a")
    assert KeyedDigests(keystore, REF, Slow()).digest("a") == first


def test_without_its_keystore_it_says_what_to_do() -> None:
    store = MemorySealedKey()
    KeyedDigests(MemoryKeyBackend(), REF, store).digest("a")
    with pytest.raises(BackendUnavailable, match="restore the keystore"):
        KeyedDigests(MemoryKeyBackend(), REF, store).digest("a")
    keystore = MemoryKeyBackend()
    info = keystore.generate(REF, KeyAlgorithm.SM2)
    store.sealed = sm2.encrypt(info.public_key, b"short")
    with pytest.raises(BackendUnavailable, match="is not the key of"):
        KeyedDigests(keystore, REF, store).digest("a")
