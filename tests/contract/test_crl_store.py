"""`crl.store` on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from core.db import Database
from core.errors import Conflict
from crl.sqlstore import KEPT_CRLS, KEPT_OCTETS, SQLCRLStore
from crl.store import CRLRecord, DelegateRecord
from keystore import keyref
from keystore.algorithms import SignatureAlgorithm

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
FIRST = CRLRecord(
    scope="issuing",
    number=5,
    this_update=NOW,
    next_update=NOW + timedelta(days=7),
    position=3,
    entries=1,
    der=b"\x30\x00",
)


@pytest.fixture
def store(database: Database) -> SQLCRLStore:
    return SQLCRLStore(database)


def test_numbers_grow_and_every_issuer_has_its_own(store):
    assert [store.reserve_number("a", at_least=1) for _ in range(3)] == [1, 2, 3]
    assert store.reserve_number("b", at_least=1) == 1
    assert store.reserve_number("a", at_least=1_800_000_000) == 1_800_000_000
    assert store.reserve_number("a", at_least=1) == 1_800_000_001


def test_threads_never_draw_the_same_number(store):
    with ThreadPoolExecutor(8) as pool:
        drawn = list(pool.map(lambda _: store.reserve_number("a", at_least=1), range(80)))
    assert sorted(drawn) == list(range(1, 81))


def test_the_current_crl_is_the_one_published_last(store):
    assert store.find_current("issuing") is None
    store.publish(FIRST)
    second = replace(FIRST, number=6, position=4, der=b"\x30\x01\x00")
    store.publish(second)
    store.publish(replace(FIRST, scope="other", number=99))
    assert store.find_current("issuing") == second


@pytest.mark.parametrize(
    "backwards",
    [
        replace(FIRST, number=5, position=4),
        replace(FIRST, number=4, position=4),
        replace(FIRST, number=6, position=2),
        replace(FIRST, number=6, this_update=NOW - timedelta(seconds=1)),
    ],
    ids=["same number", "smaller number", "smaller position", "earlier"],
)
def test_nothing_published_ever_goes_backwards(store, backwards):
    store.publish(FIRST)
    with pytest.raises(Conflict):
        store.publish(backwards)
    assert store.find_current("issuing") == FIRST


def test_of_many_at_once_the_published_ones_are_in_order(store, database):
    def publish(_: int) -> int | None:
        number = store.reserve_number("issuing", at_least=1)
        try:
            store.publish(replace(FIRST, number=number))
        except Conflict:
            return None
        return number

    with ThreadPoolExecutor(8) as pool:
        published = {number for number in pool.map(publish, range(40)) if number is not None}
    current = store.find_current("issuing")
    assert current is not None
    assert current.number == max(published)


def test_a_publication_that_is_rolled_back_never_was(store, database):
    with pytest.raises(RuntimeError), database.transaction():
        store.publish(FIRST)
        raise RuntimeError
    assert store.find_current("issuing") is None


def test_octets_of_older_crls_are_forgotten_and_rows_when_they_have_ended(store, database):
    def rows() -> list[tuple[int, int]]:
        with database.reading() as connection:
            found = connection.exec_driver_sql("SELECT number, length(der) FROM crls ORDER BY 1")
            return [tuple(row) for row in found]

    for number in range(1, KEPT_CRLS + 6):
        store.publish(replace(FIRST, number=number))
    assert [number for number, size in rows() if size] == list(range(6, KEPT_CRLS + 6))
    assert len(rows()) == KEPT_CRLS + 5
    # Whoever holds the first one can hold it for as long as it is valid.
    assert store.find_base("issuing", valid_at=NOW).number == 1
    later = NOW + timedelta(days=8)
    store.publish(replace(FIRST, number=500, this_update=later, next_update=later))
    assert rows()[0][0] == 7


def test_long_crls_are_kept_in_full_only_as_far_as_there_is_room(store, database):
    long = replace(FIRST, der=bytes(KEPT_OCTETS // 2))
    for number in (1, 2, 3):
        store.publish(replace(long, number=number))
    assert store.find_current("issuing").number == 3
    with database.reading() as connection:
        sizes = connection.exec_driver_sql("SELECT length(der) FROM crls ORDER BY number").all()
    assert [row[0] for row in sizes] == [0, KEPT_OCTETS // 2, KEPT_OCTETS // 2]


def test_delta_crls_are_kept_beside_complete_ones(store):
    store.publish(FIRST)
    delta = replace(FIRST, number=6, position=4, base=5, der=b"\x30\x01\x00")
    store.publish(delta)
    partition = replace(FIRST, scope="issuing/16/3", number=7)
    store.publish(partition)
    store.publish(replace(FIRST, scope="issuing-2", number=9))
    assert store.find_current("issuing") == FIRST
    assert store.find_current("issuing", delta=True) == delta
    assert {name: head.number for name, head in store.list_heads("issuing").items()} == {
        "issuing": 5,
        "issuing/16/3": 7,
    }
    assert [head.number for head in store.list_heads("issuing", delta=True).values()] == [6]
    with pytest.raises(Conflict):
        store.publish(replace(delta, number=7, position=3))


def test_delegates_come_back_the_longest_valid_first(store):
    def delegate(serial: int, days: int, issuer: str = "issuing") -> DelegateRecord:
        return DelegateRecord(
            issuer=issuer,
            serial=serial,
            key=keyref.make("software", object=f"ocsp-{serial}"),
            algorithm=SignatureAlgorithm.SM2_SM3,
            certificate=b"\x30\x00",
            not_before=NOW,
            not_after=NOW + timedelta(days=days),
        )

    old, new, other = delegate(1, 10), delegate((1 << 159) - 1, 30), delegate(3, 90, "other")
    for record in (old, new, other):
        store.add_delegate(record)
    assert list(store.list_delegates("issuing")) == [new, old]
    assert list(store.list_delegates("nobody")) == []
