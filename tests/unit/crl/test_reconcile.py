"""A database put back from an older copy: refused, compared, re-entered, followed again."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ca.reasons import RevocationReason
from ca.sqlreconcile import SQLReconciliation
from ca.store import CertificateState
from crl.ocsp.follow import OtherHistory
from crl.ocsp.keeper import STORE_FILE
from crl.reconcile import Forgotten, find_forgotten, reenter
from tests.unit.crl.world import World


def copy_of(world: World, path: Path) -> Path:
    with closing(sqlite3.connect(world.database.engine.url.database or "")) as connection:
        connection.execute("VACUUM INTO ?", (str(path),))
    return path


def put_back(world: World, path: Path) -> None:
    file = world.database.engine.url.database or ""
    world.database.engine.dispose()
    for suffix in ("-wal", "-shm"):
        Path(file + suffix).unlink(missing_ok=True)
    shutil.copy(path, file)


def apply(world: World, forgotten: Forgotten) -> None:
    reenter(
        forgotten,
        store=SQLReconciliation(world.database),
        certificates=world.store,
        transactions=world.database,
        audit=world.audit,
        clock=world.clock,
        actor="local:tester",
    )


def test_what_an_older_copy_forgot_is_found_and_entered_again(world: World, tmp_path: Path):
    keeper = world.make_keeper(tmp_path)
    kept, revoked, held, released = (world.issue("ec-issuing") for _ in range(4))
    world.revocation.hold("ec-issuing", released.serial, actor="tester")
    old = copy_of(world, tmp_path / "old")
    lost, lost_and_revoked = world.issue("ec-issuing"), world.issue("ec-issuing")
    world.clock.advance(hours=3)
    world.revoke(revoked, RevocationReason.SUPERSEDED)
    world.revoke(lost_and_revoked)
    world.revocation.hold("ec-issuing", held.serial, actor="tester")
    world.revocation.release("ec-issuing", released.serial, actor="tester")
    keeper.follower.follow()
    revoked_at = keeper.store.find_status("ec-issuing", revoked.serial).revoked_at
    put_back(world, old)
    # It goes on, past where it was.
    later = [world.issue("ec-issuing") for _ in range(12)]
    world.revoke(kept)
    with pytest.raises(OtherHistory):
        keeper.follower.follow()
    found = {
        one.serial: one
        for one in find_forgotten(keeper.store.statuses(), SQLReconciliation(world.database))
    }
    issued, nothing = CertificateState.ISSUED, None
    assert {serial: one.found for serial, one in found.items()} == {
        revoked.serial: issued,
        held.serial: issued,
        lost.serial: nothing,
        lost_and_revoked.serial: nothing,
    }
    for one in found.values():
        apply(world, one)
    statuses = keeper.store.statuses()
    assert list(find_forgotten(statuses, SQLReconciliation(world.database))) == []
    keeper.close()
    # What `yinxin reconcile` does at last: the store is made anew from the log.
    (tmp_path / STORE_FILE).unlink()
    again = world.make_keeper(tmp_path)
    again.follower.follow()

    def state(issued) -> CertificateState:
        return again.store.find_status("ec-issuing", issued.serial).state

    assert state(revoked) is state(lost_and_revoked) is state(kept) is CertificateState.REVOKED
    assert state(lost) is state(later[0]) is CertificateState.ISSUED
    assert state(held) is state(released) is CertificateState.HELD
    assert again.store.find_status("ec-issuing", revoked.serial).revoked_at == revoked_at
    again.close()
    actions = [event[0] for event in world.audit.events]
    assert actions.count("certificate.reconciled") == 4
    # A lost certificate can be revoked like any other.
    world.revoke(lost)
    status = world.store.find_status("ec-issuing", lost.serial)
    assert status.state is CertificateState.REVOKED
