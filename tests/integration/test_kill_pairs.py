"""kill -9 at every step of a pair: no key is lost, none is given twice, and no pair is half."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from sqlalchemy import text

from ca.check_fault import Fault
from ca.sqlcheck import SQLCheckSource
from ca.store import CertificateQuery, CertificateState
from core.clock import SystemClock
from keystore.envelope import decode_enveloped_key, open_envelope
from keystore.escrow.store import KeyState
from tests import databases, forked
from tests.fakes.clock import FakeClock
from tests.integration import killed_pair
from tests.integration.killed_pair import HOLDER, STEPS, Service
from yinxin.check import Check, Rules, Span


@pytest.mark.parametrize("step", STEPS)
def test_a_pair_is_whole_or_absent_and_finished_with_its_own_key(tmp_path: Path, step: str) -> None:
    database = databases.sqlite(tmp_path, "ca.sqlite3")
    database.close()
    child = forked.call(killed_pair.main, tmp_path, step)
    assert child.returncode == -signal.SIGKILL, child.stderr

    clock = FakeClock(SystemClock().now())
    service = Service(tmp_path, clock)
    killed = (tmp_path / "request").read_text()
    issued = [
        row
        for row in service.store.search_certificates(CertificateQuery(issuer="issuing")).items
        if row.state is CertificateState.ISSUED
    ]
    assert len(issued) == (4 if step == "after complete" else 2), "a pair, or nothing"
    before = _keys(service)

    clock.advance(seconds=31)
    service.enrollment.approve(killed, actor="bob")
    pair = service.km.pairs.get(killed)
    key = open_envelope(decode_enveloped_key(pair.enveloped), HOLDER.decrypt)
    assert key.public_key in pair.encryption.der

    after = _keys(service)
    assert len(after) == 4, "no key is lost and none is made in its place"
    assert all(after[key] == owner for key, owner in before.items() if owner is not None)
    owners = [owner for owner in after.values() if owner is not None]
    assert len(owners) == len(set(owners)) == 2
    counted = service.km.centre.count_keys()
    assert (counted[KeyState.STANDBY], counted[KeyState.IN_USE]) == (2, 2)
    assert _faults(service) == []
    service.database.close()


def _faults(service: Service) -> list[Fault]:
    found: list[Fault] = []
    newest = SQLCheckSource(service.database).newest()
    Check.over(service.database, service.audit, Rules(service.profiles)).run(
        Span(0, newest), report=found.append, progress=lambda _after, _count: None
    )
    return found


def _keys(service: Service) -> dict[str, str | None]:
    with service.database.reading() as connection:
        rows = connection.execute(text("SELECT id, request_id FROM escrow_keys")).all()
    return {row.id: row.request_id for row in rows}
