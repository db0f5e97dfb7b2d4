"""Length, history, breached list and age of passwords."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from authn.breached import BreachedPasswords, breached_lines
from authn.config import PasswordConfig
from authn.passwordpolicy import PasswordPolicy
from authn.store import User
from core.errors import Misconfigured, Refused
from tests.fakes.clock import FakeClock


class PlainHasher:
    """Keeps passwords as they are: the policy does not care how they are hashed."""

    def hash(self, password: str) -> str:
        return f"hash of {password}"

    def matches(self, password: str, stored: str | None) -> bool:
        return stored == self.hash(password)


class Memory:
    """Users and history at once."""

    def __init__(self) -> None:
        self.rows: list[tuple[datetime, str]] = []
        self.password: str | None = None

    def set_password(self, user_id: str, password_hash: str) -> None:
        self.password = password_hash

    def add(self, row_id: str, user_id: str, password_hash: str, set_at: datetime) -> None:
        self.rows.insert(0, (set_at, password_hash))

    def newest(self, user_id: str, limit: int) -> list[str]:
        return [hashed for _, hashed in self.rows[:limit]]

    def last_set_at(self, user_id: str) -> datetime | None:
        return self.rows[0][0] if self.rows else None

    def forget_older(self, user_id: str, keep: int) -> None:
        del self.rows[keep:]


def user(clock: FakeClock, password_hash: str | None = None) -> User:
    return User("u", "zhang.wei", "张伟", None, None, password_hash, False, clock.now())


def make(clock: FakeClock, memory: Memory, *, breached=frozenset(), **config) -> PasswordPolicy:
    return PasswordPolicy(
        memory,
        memory,
        config=PasswordConfig(**config),
        hasher=PlainHasher(),
        breached=breached,
        clock=clock,
    )


def choose(policy: PasswordPolicy, person: User, password: str) -> None:
    policy.keep(person, policy.hash_new(person, password))


def test_the_last_passwords_are_not_taken_again(clock: FakeClock) -> None:
    memory = Memory()
    policy, person = make(clock, memory, history=2), user(clock)
    for password in ("first password", "second password", "third password"):
        choose(policy, person, password)
    assert len(memory.rows) == 2
    with pytest.raises(Refused, match="last 2"):
        policy.hash_new(person, "second password")
    assert policy.hash_new(person, "first password")


def test_the_password_from_before_there_was_a_history_counts(clock: FakeClock) -> None:
    policy = make(clock, Memory())
    with pytest.raises(Refused, match="last 5"):
        policy.hash_new(user(clock, "hash of the old password"), "the old password")


def test_history_and_length_are_settings(clock: FakeClock) -> None:
    memory = Memory()
    policy, person = make(clock, memory, history=0, min_characters=16), user(clock)
    choose(policy, person, "sixteen letters!")
    assert policy.hash_new(person, "sixteen letters!")
    with pytest.raises(Refused, match="16 to 128"):
        policy.hash_new(person, "fifteen letters")


def test_a_password_grows_old_from_when_it_was_set(clock: FakeClock) -> None:
    memory = Memory()
    policy, person = make(clock, memory, max_age_days=90), user(clock)
    clock.advance(days=80)
    choose(policy, person, "a new password")
    clock.advance(days=89)
    assert not policy.has_expired(person)
    clock.advance(days=1)
    assert policy.has_expired(person)
    assert not make(clock, memory).has_expired(replace(person))


@pytest.fixture(params=[False, True], ids=["plain", "with counts"])
def listed(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    passwords = [f"password number {n}".encode() for n in range(2000)]
    end = b":17\r\n" if request.param else b"\n"
    path = tmp_path / "breached"
    path.write_bytes(b"".join(line + end for line in breached_lines(passwords)))
    return path


def test_every_line_of_the_breached_file_is_found_and_nothing_else(listed: Path) -> None:
    breached = BreachedPasswords(listed)
    assert all(f"password number {n}" in breached for n in range(2000))
    assert not any(f"password number {n}" in breached for n in range(2000, 4000))


def test_a_breached_password_is_refused(clock: FakeClock, listed: Path) -> None:
    policy = make(clock, Memory(), breached=BreachedPasswords(listed))
    with pytest.raises(Refused, match="became public"):
        policy.hash_new(user(clock), "password number 7")


def test_another_file_is_refused_at_start(tmp_path: Path) -> None:
    other = tmp_path / "plain"
    other.write_text("123456\n")
    with pytest.raises(Misconfigured, match="breached-file"):
        BreachedPasswords(other)
    with pytest.raises(Misconfigured, match="No such file"):
        BreachedPasswords(tmp_path / "missing")
