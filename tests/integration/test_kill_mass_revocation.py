"""kill -9 in the middle of a mass revocation: nothing twice, nothing forgotten, counts true."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from sqlalchemy import text

from ca.massrevocation_store import MassState, Selection
from ca.reasons import RevocationReason
from core.audit_sql import SQLAuditLog
from core.clock import SystemClock
from core.db import metadata, open_database
from keystore.algorithms import KeyAlgorithm
from tests import forked
from tests.fakes.clock import FakeClock
from tests.fakes.keys import memory_key
from tests.integration import killed_mass_revocation
from tests.integration.killed_mass_revocation import STEPS, open_mass
from tests.unit.ca.conftest import Authority, request
from yinxin.audit_key import AuditKey

_COUNT = 18


@pytest.mark.parametrize("step", STEPS)
def test_a_killed_mass_revocation_goes_on_where_it_was(tmp_path: Path, step: str) -> None:
    url = f"sqlite:///{tmp_path}/ca.sqlite3"
    database = open_database(url)
    metadata.create_all(database.engine)
    clock = FakeClock(SystemClock().now())
    clock.advance(seconds=-60)
    audit = SQLAuditLog(database, clock=clock)
    audit.initialise()
    authority = Authority(database, clock, audit)
    for _ in range(_COUNT):
        authority.issue(request())
    mass = open_mass(database, clock)
    selection = Selection(issuer="sm2-issuing")
    job = mass.propose(selection, RevocationReason.CESSATION_OF_OPERATION, actor="bob").id
    child = forked.call(killed_mass_revocation.main, url, step)
    assert child.returncode == -signal.SIGKILL, child.stderr

    done_before = 10 if step.startswith("after") else 5
    assert mass.get(job).revoked == done_before
    clock.advance(seconds=60)
    assert mass.run() == _COUNT - done_before
    finished = mass.get(job)
    assert (finished.state, finished.revoked) == (MassState.DONE, _COUNT)
    with database.reading() as connection:
        serials = connection.execute(text("SELECT serial FROM revocation_events")).scalars().all()
    assert len(serials) == len(set(serials)) == _COUNT
    assert len(audit.list_events(action="certificate.revoked", limit=1000)) == _COUNT
    assert audit.verify(AuditKey(memory_key(KeyAlgorithm.SM2))).fault is None
    database.close()
