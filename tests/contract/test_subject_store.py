"""What a store of subjects promises, on both databases."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from ca.organisations_store import Level, Organisation
from ca.sqlorganisations import SQLOrganisationStore
from ca.sqlsubjects import SQLSubjectStore
from ca.subjects_store import IdentifierType, Subject, SubjectKind, SubjectMove, SubjectQuery
from core.db import Database
from core.errors import Conflict
from tests.fakes.clock import FakeClock

NOW = FakeClock().now()


@pytest.fixture
def root(database: Database) -> Organisation:
    made = Organisation(secrets.token_hex(16), None, Level.PROVINCE, "省", None, NOW)
    SQLOrganisationStore(database).add_organisation(made)
    return made


def device(root: Organisation, number: str) -> Subject:
    return Subject(
        secrets.token_hex(16), SubjectKind.DEVICE, IdentifierType.DEVICE_NUMBER, number, None,
        root.id, "网关", None, {"phone": "1"}, NOW, NOW,
    )  # fmt: skip


def test_a_subject_comes_back_as_it_was_kept(database: Database, root: Organisation) -> None:
    store = SQLSubjectStore(database)
    kept = device(root, "a")
    store.add_subject(kept)
    assert store.find_subject(kept.id) == kept
    assert store.find_by_identifier(kept.kind, kept.identifier_type, "a") == kept
    assert store.find_by_identifier(SubjectKind.PERSON, kept.identifier_type, "a") is None
    changed = replace(kept, name="路由器", email="a@b.cn", contacts={})
    with database.transaction():
        assert store.find_subject(kept.id, lock=True) == kept
        store.update_subject(changed)
    assert store.list_subjects(SubjectQuery()).items == (changed,)
    store.add_move(SubjectMove(kept.id, None, root.id, NOW, "alice"))
    assert store.list_moves(kept.id) == [SubjectMove(kept.id, None, root.id, NOW, "alice")]


def test_of_many_who_keep_the_same_device_at_once_one_does(
    database: Database, root: Organisation
) -> None:
    store = SQLSubjectStore(database)

    def keep(_: int) -> bool:
        try:
            store.add_subject(device(root, "same"))
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(keep, range(8))) == 1
    assert len(store.list_subjects(SubjectQuery()).items) == 1


def test_the_first_sealed_key_stays(database: Database) -> None:
    store = SQLSubjectStore(database)
    assert store.find_sealed_key() is None
    assert store.keep_sealed_key(b"first") == b"first"
    assert store.keep_sealed_key(b"second") == b"first"
    assert store.find_sealed_key() == b"first"
