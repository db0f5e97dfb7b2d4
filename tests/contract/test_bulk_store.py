"""What every store of bulk requests promises; on SQLite and on PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from ca.bulk import Batch, BatchState, Item, ItemState
from ca.issuer import Issued, Prepared
from ca.serials import SerialNumber
from ca.sqlasking import SQLAskingStore
from ca.sqlbulk import SQLBulkStore
from ca.sqlstore import SQLCertificateStore
from core.db import Database
from keystore.algorithms import KeyAlgorithm
from tests.fakes.clock import FakeClock

NOW = FakeClock().now()
LATER = NOW + timedelta(seconds=30)
_S = BatchState


@pytest.fixture
def store(database: Database) -> SQLBulkStore:
    return SQLBulkStore(database)


def batch(number: int = 1, **changes) -> Batch:
    made = Batch(
        id=f"{number:032x}",
        state=_S.CHECKING,
        profile="device",
        issuer="a",
        key_algorithm=KeyAlgorithm.SM2,
        label="设备",
        digest="0" * 64,
        requester="alice",
        created_at=NOW,
        needs_approval=True,
        expires_at=NOW + timedelta(hours=1),
    )
    return replace(made, **changes)


def items(of: Batch, rows: int) -> list[Item]:
    return [
        Item(of.id, row, f"{of.id[-8:]}{row:024x}", ItemState.NEW, f'[["CN", "{row}"]]')
        for row in range(2, rows + 2)
    ]


def test_a_batch_is_kept_as_it_was_given(store: SQLBulkStore) -> None:
    given = batch(recipient=b"certificate", data_key=b"sealed", comment="why")
    store.add_batch(given, items(given, 3))
    assert store.find_batch(given.id) == given
    assert store.find_batch("f" * 32) is None
    assert store.list_items(given.id, (ItemState.NEW,), limit=10) == items(given, 3)
    assert [i.row for i in store.list_items(given.id, list(ItemState), after=2, limit=1)] == [3]
    assert store.count_items(given.id) == {ItemState.NEW: 3}
    other = batch(2)
    store.add_batch(other, items(other, 1))
    assert [one.id for one in store.list_batches(scope=None, limit=10)] == [other.id, given.id]
    assert store.list_batches(scope=frozenset({"9" * 32}), limit=10) == []


def test_a_change_applies_in_the_expected_state_only(store: SQLBulkStore) -> None:
    store.add_batch(batch(), items(batch(), 1))
    assert not store.change_batch(batch().id, (_S.CHECKED,), state=_S.PENDING)
    assert store.change_batch(batch().id, (_S.CHECKING,), state=_S.CHECKED, comment="x")
    assert store.find_batch(batch().id) == batch(state=_S.CHECKED, comment="x")


def test_one_worker_holds_a_batch_until_its_time_is_over(store: SQLBulkStore) -> None:
    store.add_batch(batch(), items(batch(), 1))
    store.add_batch(batch(2, state=_S.PAUSED), items(batch(2), 1))
    taken = store.take_batch("one", now=NOW, until=LATER)
    assert taken is not None
    assert taken.id == batch().id
    assert store.take_batch("two", now=NOW, until=LATER) is None
    assert store.take_batch("one", now=NOW, until=LATER, passing=[taken.id]) is None
    assert store.hold_batch(taken.id, "two", until=LATER) is None
    assert store.hold_batch(taken.id, "one", until=LATER) is _S.CHECKING
    after = LATER + timedelta(seconds=1)
    assert store.take_batch("two", now=after, until=after + timedelta(seconds=30)) == taken
    assert store.hold_batch(taken.id, "one", until=LATER) is None
    store.free_batch(taken.id, "one")
    assert store.take_batch("one", now=after, until=after) is None
    store.free_batch(taken.id, "two")
    assert store.take_batch("one", now=after, until=after) == taken


def test_items_are_changed_row_by_row_and_ended_together(store: SQLBulkStore) -> None:
    store.add_batch(batch(), items(batch(), 3))
    one, two, three = items(batch(), 3)
    changed = [
        replace(one, state=ItemState.STARTED, spki=b"key", sealed=b"sealed", subject="CN=a"),
        replace(two, state=ItemState.BAD, reason="no name", source="[]", content="{}"),
    ]
    store.change_items(changed)
    store.change_items([])
    assert store.list_items(batch().id, list(ItemState), limit=9) == [*changed, three]
    store.end_items(batch().id, ItemState.NEW, ItemState.CANCELLED)
    assert store.count_items(batch().id) == {
        ItemState.STARTED: 1,
        ItemState.BAD: 1,
        ItemState.CANCELLED: 1,
    }


def test_rows_that_repeat_a_subject_or_a_key_are_found(store: SQLBulkStore) -> None:
    store.add_batch(batch(), items(batch(), 6))
    rows = items(batch(), 6)
    subjects = ("CN=a", "CN=b", "CN=a", "CN=c", "CN=d", "CN=a")
    keys = (None, b"one", None, b"two", b"one", None)
    store.change_items(
        [
            replace(row, state=ItemState.VALID, subject=subject, spki=key)
            for row, subject, key in zip(rows, subjects, keys, strict=True)
        ]
    )
    assert store.list_duplicates(batch().id) == {4: 2, 7: 2, 6: 3}


def test_valid_certificates_of_a_subject_or_a_key_are_found(
    store: SQLBulkStore, database: Database
) -> None:
    certificates = SQLCertificateStore(database)
    for number, name in enumerate(("a", "b", "c"), start=1):
        prepared = Prepared(
            issuer="a",
            serial=SerialNumber(number),
            profile="device",
            subject=f"CN={name}",
            not_before=NOW,
            not_after=NOW + timedelta(days=number),
            tbs=b"tbs",
            signature_algorithm=b"",
            spki=name.encode(),
            requester="alice",
            request_id=None,
        )
        certificates.reserve_all([prepared], now=NOW)
        if name != "c":
            certificates.complete_all([Issued("a", SerialNumber(number), b"der")], now=NOW)

    def live(now=NOW, fingerprints=(), profile="device") -> set[str]:
        found = store.list_live(
            issuer="a",
            profile=profile,
            subjects=["CN=a", "CN=b", "CN=c", "CN=z"],
            fingerprints=list(fingerprints),
            now=now,
        )
        return {one.subject for one in found}

    assert live() == {"CN=a", "CN=b"}
    assert live(now=NOW + timedelta(days=1, seconds=1)) == {"CN=b"}
    assert live(profile="other") == set()
    record = certificates.find_certificate("a", 1)
    assert record is not None
    assert live(profile="other", fingerprints=[record.spki_fingerprint]) == {"CN=a"}


def test_private_keys_are_erased_and_the_rows_stay_or_go(store: SQLBulkStore) -> None:
    for number, state in ((1, _S.DONE), (2, _S.CHECKED), (3, _S.ISSUING)):
        made = batch(number, state=state, data_key=b"sealed")
        store.add_batch(made, items(made, 2))
        store.change_items([replace(item, sealed=b"key") for item in items(made, 2)])
    late = NOW + timedelta(hours=2)
    assert store.list_expired(now=NOW, limit=9) == []
    assert [one.id for one in store.list_expired(now=late, limit=9)] == [batch(1).id, batch(2).id]
    store.erase(batch(1).id, rows=False, at=late)
    store.erase(batch(2).id, rows=True, at=late)
    assert store.list_expired(now=late, limit=9) == []
    kept = store.list_items(batch(1).id, list(ItemState), limit=9)
    assert [(item.sealed, item.source) for item in kept] == [(None, "{}")] * 2
    assert store.count_items(batch(2).id) == {}
    found = store.find_batch(batch(1).id)
    assert found is not None
    assert found.data_key is None


def test_rows_that_wait_for_the_authority_are_answered_once(database: Database) -> None:
    store, asking = SQLBulkStore(database), SQLAskingStore(database)
    for number, state in ((1, _S.CANCELLING), (2, _S.CHECKING), (3, _S.CHECKING)):
        made = batch(number, state=state)
        rows = [
            replace(item, state=ItemState.ASKING, content=f"{number} {item.row}")
            for item in items(made, 3)
        ]
        store.add_batch(made, rows)
        store.change_items(rows)
    second = items(batch(2), 3)
    asked = [(item.request_id, f"2 {item.row}") for item in second]
    assert asking.list_asking(limit=10) == asked, "of the oldest that is being checked"
    assert asking.list_asking(limit=2) == asked[:2]
    said = {second[0].request_id: None, second[1].request_id: "why", "f" * 32: None}
    assert [asking.answer(said) for _ in range(2)] == [2, 0]
    assert asking.list_asking(limit=10) == asked[2:]
    found = store.list_items(batch(2).id, (ItemState.VALID, ItemState.BAD), limit=10)
    assert [(item.row, item.state, item.reason) for item in found] == [
        (2, ItemState.VALID, None),
        (3, ItemState.BAD, "why"),
    ]
    asking.say("not asked: x")
    comments = [one.comment for one in store.list_batches(scope=None, limit=10)]
    assert comments == ["not asked: x", "not asked: x", None]
