from __future__ import annotations

import threading

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from authn import passwords
from authn.config import PasswordConfig
from authn.passwordpolicy import check_form
from authn.passwords import PasswordHasher
from core.errors import Refused, Unavailable

CHEAP = PasswordConfig(memory_kibibytes=19456, iterations=2, concurrent_hashes=1)


@pytest.fixture(scope="module")
def hasher() -> PasswordHasher:
    return PasswordHasher(CHEAP)


def test_processes_share_what_may_be_hashed_at_once():
    config = PasswordConfig(concurrent_hashes=5)
    assert PasswordHasher(config)._free._initial_value == 5
    assert PasswordHasher(config, processes=2)._free._initial_value == 2
    assert PasswordHasher(config, processes=8)._free._initial_value == 1


def test_a_password_matches_its_own_hash_only(hasher):
    stored = hasher.hash("correct horse battery")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert hasher.matches("correct horse battery", stored)
    assert not hasher.matches("correct horse batterz", stored)


def test_two_hashes_of_one_password_differ(hasher):
    assert hasher.hash("correct horse battery") != hasher.hash("correct horse battery")


def test_nobody_matches_where_there_is_no_hash(hasher):
    assert not hasher.matches("", None)
    assert not hasher.matches("correct horse battery", None)


def test_where_there_is_no_hash_it_works_as_hard_and_only_then(monkeypatch):
    asked = []

    def derive(_password, salt, **costs):
        asked.append((len(salt), costs))
        return bytes(32)

    monkeypatch.setattr(passwords, "_derive", derive)
    hasher = PasswordHasher(CHEAP)
    assert not asked, "a command that asks for no password pays for none"
    hasher.hash("correct horse battery")
    assert not hasher.matches("correct horse battery", None)
    assert asked == [(16, {"kibibytes": 19456, "passes": 2})] * 2


def test_an_overlong_password_is_not_even_hashed(hasher):
    assert not hasher.matches("x" * 10_000_000, None)


def test_composed_and_decomposed_characters_are_the_same_password(hasher):
    assert hasher.matches("pa\u0301ss word long", hasher.hash("p\u00e1ss word long"))


def of_libcrypto(password: str, *, lanes: int) -> str:
    return Argon2id(
        salt=b"sixteen octets..", length=32, iterations=2, lanes=lanes, memory_cost=19456
    ).derive_phc_encoded(password.encode())


def test_hashes_made_with_other_costs_still_verify(hasher):
    dear = PasswordHasher(PasswordConfig(memory_kibibytes=20000, iterations=3))
    assert hasher.matches("correct horse battery", dear.hash("correct horse battery"))


def test_libcrypto_verifies_what_we_hash(hasher):
    Argon2id.verify_phc_encoded(b"correct horse battery", hasher.hash("correct horse battery"))


@pytest.mark.parametrize("lanes", [1, 2, 4])
def test_hashes_of_libcrypto_verify(hasher, lanes):
    stored = of_libcrypto("correct horse battery", lanes=lanes)
    assert hasher.matches("correct horse battery", stored)
    assert not hasher.matches("correct horse batterz", stored)


def test_hashes_of_several_lanes_at_once_all_end():
    """Together, in libcrypto, they wait for each other for ever."""
    hasher = PasswordHasher(PasswordConfig(memory_kibibytes=19456, iterations=2))
    stored, found = of_libcrypto("correct horse battery", lanes=4), []
    threads = [
        threading.Thread(
            target=lambda: found.append(hasher.matches("correct horse battery", stored)),
            daemon=True,
        )
        for _ in range(4)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert found == [True] * 4


def test_who_finds_no_memory_is_not_told_that_the_password_is_wrong(hasher, monkeypatch):
    def derive(*_: object) -> bytes:
        raise passwords.OutOfMemory("Unexpected failure in key derivation")

    stored = hasher.hash("correct horse battery")
    monkeypatch.setattr(passwords, "crypto_pwhash_alg", derive)
    with pytest.raises(Unavailable):
        hasher.matches("correct horse battery", stored)


def test_no_more_hashes_run_at_once_than_configured(hasher, monkeypatch):
    running, most, lock = 0, 0, threading.Lock()

    def derive(*_: object) -> bytes:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.01)
        with lock:
            running -= 1
        return bytes(32)

    stored = hasher.hash("correct horse battery")
    monkeypatch.setattr(passwords, "crypto_pwhash_alg", derive)
    threads = [threading.Thread(target=hasher.matches, args=("x", stored)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


@pytest.mark.parametrize(
    "password", ["short", "x" * 129, "aaaaaaaaaaaaaa", "administrator1", "Administrator"]
)
def test_weak_passwords_are_refused(password):
    with pytest.raises(Refused):
        check_form(password, user_name="administrator", least=12)


@pytest.mark.parametrize(
    "password",
    ["correct horse battery", "政务外网的口令要长一点才好", "administrator and more words"],
)
def test_long_passwords_of_any_characters_are_taken(password):
    check_form(password, user_name="administrator", least=12)
