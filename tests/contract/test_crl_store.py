"""`crl.store` on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from core.db import Database
from core.errors import Conflict
from crl.sqlstore import KEPT_CRLS, SQLCRLStore
from crl.store import CRLRecord, DelegateRecord
from keystore import keyref
from keystore.algorithms import SignatureAlgorithm

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
FIRST = CRLRecord(
    issuer="issuing",
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
    store.publish(replace(FIRST, issuer="other", number=99))
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


def test_only_the_newest_crls_are_kept(store, database):
    for number in range(1, KEPT_CRLS + 6):
        store.publish(replace(FIRST, number=number))
    with database.reading() as connection:
        kept = connection.exec_driver_sql("SELECT min(number), count(*) FROM crls").one()
    assert tuple(kept) == (6, KEPT_CRLS)


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
