"""What every store of the key management centre promises, on both databases."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from core.db import Database
from core.errors import Conflict
from keystore import keyref
from keystore.algorithms import KeyAlgorithm
from keystore.escrow.sqlstore import SQLEscrowStore
from keystore.escrow.store import (
    Assignment,
    CentreIdentity,
    EscrowedKey,
    KeyState,
    Recovery,
    RecoveryKind,
    RecoveryState,
)
from keystore.escrow.vault import Sealed
from tests.fakes.clock import FakeClock

CLOCK = FakeClock()


def new_key(algorithm: KeyAlgorithm = KeyAlgorithm.SM2) -> EscrowedKey:
    key_id = secrets.token_hex(16)
    sealed = Sealed(keyref.parse("memory:object=storage"), b"wrapped", b"ciphertext")
    return EscrowedKey(key_id, KeyState.STANDBY, algorithm, key_id.encode(), sealed, CLOCK.now())


def assignment(request_id: str) -> Assignment:
    return Assignment(request_id, KeyAlgorithm.SM2, "f" * 64, CLOCK.now())


@pytest.fixture
def store(database: Database) -> SQLEscrowStore:
    return SQLEscrowStore(database)


def test_the_oldest_key_is_assigned_first_and_to_one_request(store: SQLEscrowStore) -> None:
    first, second = new_key(), new_key()
    store.add_key(first)
    store.add_key(second)
    taken = store.take_standby(assignment("r1"))
    assert taken == replace(
        first,
        state=KeyState.IN_USE,
        request_id="r1",
        signing_key="f" * 64,
        assigned_at=CLOCK.now(),
    )
    assert store.find_by_request("r1") == store.find_key(first.id) == taken
    with pytest.raises(Conflict):
        store.take_standby(assignment("r1"))
    assert store.take_standby(assignment("r2")) is not None
    assert store.take_standby(assignment("r3")) is None
    assert store.count_keys() == {
        KeyState.STANDBY: 0,
        KeyState.IN_USE: 2,
        KeyState.HISTORY: 0,
    }


def test_many_requests_at_once_get_a_key_each(store: SQLEscrowStore) -> None:
    for _ in range(24):
        store.add_key(new_key())
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda n: store.take_standby(assignment(f"r{n}")), range(24)))
    assert len({key.id for key in taken if key is not None}) == 24


def test_a_key_retires_once_and_stays(store: SQLEscrowStore) -> None:
    store.add_key(new_key())
    taken = store.take_standby(assignment("r1"))
    assert taken is not None
    assert not store.retire("r2", at=CLOCK.now())
    assert store.retire("r1", at=CLOCK.now())
    assert not store.retire("r1", at=CLOCK.now())
    kept = store.find_key(taken.id)
    assert kept is not None
    assert (kept.state, kept.retired_at) == (KeyState.HISTORY, CLOCK.now())


def recovery(key: EscrowedKey) -> Recovery:
    return Recovery(
        id=secrets.token_hex(16),
        kind=RecoveryKind.USER,
        state=RecoveryState.REQUESTED,
        key_id=key.id,
        recipient=b"spki",
        reason="lost",
        requester="alice",
        created_at=CLOCK.now(),
        expires_at=CLOCK.now() + timedelta(hours=1),
    )


def test_a_recovery_moves_from_the_expected_state_only(store: SQLEscrowStore) -> None:
    key = new_key()
    store.add_key(key)
    wanted = recovery(key)
    store.add_recovery(wanted)
    assert store.find_recovery(wanted.id, lock=True) == wanted
    store.add_approval(wanted.id, "bob", at=CLOCK.now())
    with pytest.raises(Conflict, match="bob"):
        store.add_approval(wanted.id, "bob", at=CLOCK.now())
    change = {"at": CLOCK.now(), "by": "bob"}
    approved, delivered = RecoveryState.APPROVED, RecoveryState.DELIVERED
    assert not store.change_recovery(wanted.id, delivered, expected=(approved,), **change)
    assert store.change_recovery(wanted.id, approved, expected=(RecoveryState.REQUESTED,), **change)
    with ThreadPoolExecutor(4) as pool:
        won = list(
            pool.map(
                lambda _: store.change_recovery(
                    wanted.id, delivered, expected=(approved,), **change
                ),
                range(4),
            )
        )
    assert sorted(won) == [False, False, False, True]
    found = store.find_recovery(wanted.id)
    assert found == replace(wanted, state=delivered, approvers=("bob",), delivered_at=CLOCK.now())
    store.add_recovery(newer := recovery(key))
    assert [item.id for item in store.list_recoveries(now=CLOCK.now(), limit=5)] == [
        newer.id,
        wanted.id,
    ]
    assert [item.id for item in store.list_of_key(key.id, limit=5)] == [newer.id, wanted.id]
    assert store.list_of_key("f" * 32, limit=5) == []
    store.change_recovery(
        newer.id, RecoveryState.REJECTED, expected=(RecoveryState.REQUESTED,), **change
    )
    assert store.list_recoveries(now=CLOCK.now(), limit=1)[0].rejected_by == "bob"


def test_there_is_no_recovery_nobody_asked_for(store: SQLEscrowStore) -> None:
    assert store.find_recovery("0" * 32) is None
    assert store.find_by_fingerprint("0" * 64) is None


def test_a_request_gets_a_key_of_its_algorithm(store: SQLEscrowStore) -> None:
    store.add_key(new_key(KeyAlgorithm.RSA_2048))
    assert store.take_standby(assignment("r1")) is None
    wanted = replace(assignment("r1"), algorithm=KeyAlgorithm.RSA_2048)
    assert store.take_standby(wanted).algorithm is KeyAlgorithm.RSA_2048
    assert store.count_keys(KeyAlgorithm.RSA_2048)[KeyState.IN_USE] == 1
    assert sum(store.count_keys(KeyAlgorithm.SM2).values()) == 0


def test_a_key_in_use_goes_out_in_a_file_once(store: SQLEscrowStore) -> None:
    key = new_key()
    store.add_key(key)
    assert not store.mark_delivered(key.id, at=CLOCK.now()), "on standby it is nobody's"
    store.take_standby(assignment("r1"))
    with ThreadPoolExecutor(8) as pool:
        marked = list(pool.map(lambda _: store.mark_delivered(key.id, at=CLOCK.now()), range(16)))
    assert marked.count(True) == 1
    assert store.find_key(key.id).delivered_at == CLOCK.now()


def test_the_first_certificate_of_a_key_is_kept(store: SQLEscrowStore) -> None:
    first = CentreIdentity("a" * 64, b"first", CLOCK.now())
    assert store.find_identity("a" * 64) is None
    assert store.keep_identity(first) == first
    assert store.keep_identity(replace(first, certificate=b"second")) == first
    assert store.find_identity("a" * 64) == first
