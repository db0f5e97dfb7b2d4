from __future__ import annotations

import threading

import pytest

from authn import passwords
from authn.config import PasswordConfig
from authn.passwordpolicy import check_form
from authn.passwords import PasswordHasher
from core.errors import Refused

CHEAP = PasswordConfig(memory_kibibytes=19456, iterations=2, lanes=1, concurrent_hashes=1)


@pytest.fixture(scope="module")
def hasher() -> PasswordHasher:
    return PasswordHasher(CHEAP)


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


def test_an_overlong_password_is_not_even_hashed(hasher):
    assert not hasher.matches("x" * 10_000_000, None)


def test_composed_and_decomposed_characters_are_the_same_password(hasher):
    assert hasher.matches("pa\u0301ss word long", hasher.hash("p\u00e1ss word long"))


def test_hashes_made_with_other_costs_still_verify(hasher):
    dear = PasswordHasher(PasswordConfig(memory_kibibytes=20000, iterations=3, lanes=2))
    assert hasher.matches("correct horse battery", dear.hash("correct horse battery"))


def test_hashes_of_several_lanes_at_once_all_end():
    """Together, in libcrypto, they wait for each other for ever."""
    hasher = PasswordHasher(PasswordConfig(memory_kibibytes=19456, iterations=2, lanes=4))
    stored, found = hasher.hash("correct horse battery"), []
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


@pytest.mark.parametrize(("phc", "lanes"), [("$argon2id$v=19$m=19456,t=2,p=1$", 1), ("", 2)])
def test_a_hash_that_may_have_several_lanes_goes_alone(hasher, phc, lanes):
    assert passwords._lanes_of(phc) == lanes


def test_no_more_hashes_run_at_once_than_configured(hasher, monkeypatch):
    running, most, lock = 0, 0, threading.Lock()
    original = PasswordHasher.matches

    class Counting:
        @staticmethod
        def verify_phc_encoded(octets: bytes, stored: str) -> None:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            threading.Event().wait(0.01)
            with lock:
                running -= 1

    monkeypatch.setattr(passwords, "Argon2id", Counting)
    threads = [threading.Thread(target=original, args=(hasher, "x", ",p=1")) for _ in range(8)]
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
