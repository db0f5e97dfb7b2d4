"""What is remembered, and when it is read again."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, delete, insert, update

from core import remembered
from core.db import Database, open_database
from core.remembered import SECONDS, Remembered

TABLE = Table("things", MetaData(), Column("id", Integer, primary_key=True))
OTHER = Table("others", TABLE.metadata, Column("id", Integer, primary_key=True))


@pytest.fixture
def database(tmp_path: Path) -> Database:
    opened = open_database(f"sqlite:///{tmp_path}/x.sqlite3")
    TABLE.metadata.create_all(opened.engine)
    yield opened
    opened.close()


class Clock:
    seconds = 100.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(remembered, "time", made)
    return made


def counted(database: Database, **how) -> tuple[Counter[str], Remembered[str, str]]:
    reads = Counter[str]()

    def read(key: str) -> str:
        reads[key] += 1
        return f"{key}{reads[key]}"

    return reads, Remembered(read, lambda: database.version(TABLE), **how)


def test_it_is_read_once_and_again_after_a_while(database: Database, clock: Clock) -> None:
    _, answers = counted(database)
    assert answers.recall("a") is None
    assert [answers.get("a"), answers.get("a"), answers.get("b")] == ["a1", "a1", "b1"]
    assert answers.recall("a") == "a1"
    clock.seconds += SECONDS - 0.01
    assert answers.get("a") == "a1"
    clock.seconds += 0.01
    assert answers.recall("a") is None
    assert answers.get("a") == "a2"


@pytest.mark.parametrize(
    "write", [insert(TABLE).values(id=2), update(TABLE).values(id=3), delete(TABLE)]
)
def test_what_this_process_commits_is_seen_at_once(database: Database, clock: Clock, write) -> None:
    _, answers = counted(database)
    assert answers.get("a") == "a1"
    with database.transaction() as connection:
        connection.execute(insert(OTHER).values(id=1))
    assert answers.get("a") == "a1"
    with database.transaction(), database.transaction() as connection:
        connection.execute(write)
    assert answers.get("a") == "a2"


def test_it_is_kept_while_nobody_changed_anything(database: Database, clock: Clock) -> None:
    looks, number = Counter[str](), [1]

    def count() -> int | None:
        looks["count"] += 1
        return number[0]

    reads, answers = counted(database, counted=count)
    for _ in range(5):
        assert [answers.get("a"), answers.get("b")] == ["a1", "b1"]
        clock.seconds += SECONDS
    assert looks["count"] == 5
    number[0] = 2  # another process
    assert [answers.get("a"), answers.get("b")] == ["a2", "b2"]
    clock.seconds += SECONDS
    number[0] = None  # nobody knows
    assert answers.get("a") == "a3"
    clock.seconds += SECONDS
    assert answers.get("a") == "a4"
    assert reads == {"a": 4, "b": 2}


def test_what_this_process_commits_counts_though_the_number_is_the_same(
    database: Database, clock: Clock
) -> None:
    _, answers = counted(database, counted=lambda: 1)
    assert answers.get("a") == "a1"
    with database.transaction() as connection:
        connection.execute(insert(TABLE).values(id=1))
        assert answers.recall("a") is None
    assert answers.get("a") == "a2"


def test_what_the_reading_raises_is_not_kept(database: Database) -> None:
    reads: list[str] = []

    def read(key: str) -> str:
        reads.append(key)
        raise LookupError

    answers = Remembered(read, lambda: database.version(TABLE))
    for _ in range(2):
        with pytest.raises(LookupError):
            answers.get("a")
    assert reads == ["a", "a"]


def test_a_commit_whose_end_is_not_known_counts(database: Database, clock: Clock) -> None:
    _, answers = counted(database)
    assert answers.get("a") == "a1"
    with pytest.raises(RuntimeError), database.transaction() as connection:
        connection.execute(insert(TABLE).values(id=1))
        raise RuntimeError
    assert answers.get("a") == "a2"


def test_a_transaction_sees_its_own_writes_and_leaves_nothing(
    database: Database, clock: Clock
) -> None:
    reads, answers = counted(database)
    assert answers.get("a") == "a1"
    with database.transaction():
        assert answers.recall("a") is None
        assert [answers.get("a"), answers.get("a")] == ["a2", "a3"]
    assert answers.get("a") == "a1"
    assert reads["a"] == 3


def test_a_write_while_it_is_read_is_not_overlooked(database: Database, clock: Clock) -> None:
    def read(key: str) -> int:
        with database.transaction() as connection:  # another thread, as it were
            return connection.execute(insert(TABLE)).inserted_primary_key[0]

    answers = Remembered(read, lambda: database.version(TABLE))
    assert [answers.get("a"), answers.get("a")] == [1, 2]


def test_what_many_threads_miss_is_read_once(database: Database) -> None:
    reads = Counter[str]()
    barrier = Barrier(8)

    def read(key: str) -> str:
        time.sleep(0.01)
        reads[key] += 1
        return key

    answers = Remembered(read, lambda: (0,))

    def ask(_: int) -> str:
        barrier.wait()
        return answers.get("a")

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(ask, range(8))) == ["a"] * 8
    assert reads["a"] <= 2  # twice only if they began more than `SECONDS` apart


def test_so_many_and_no_more(database: Database, clock: Clock) -> None:
    reads, answers = counted(database, most=1)
    for key in "aabb":
        answers.get(key)
    assert reads == {"a": 1, "b": 2}
