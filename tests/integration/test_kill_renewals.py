"""kill -9 at every step of renewing a pair: one new pair, its old key in history, nothing lost."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from ca.requests import RequestState
from ca.store import CertificateQuery, CertificateState
from core.clock import SystemClock
from keystore.envelope import decode_enveloped_key, open_envelope
from keystore.escrow.store import KeyState
from tests import databases, forked
from tests.fakes.clock import FakeClock
from tests.integration import killed_renewal
from tests.integration.killed_pair import HOLDER
from tests.integration.killed_renewal import STEPS, Service


@pytest.mark.parametrize("step", STEPS)
def test_a_renewal_is_finished_once_and_settled(tmp_path: Path, step: str) -> None:
    database = databases.sqlite(tmp_path, "ca.sqlite3")
    database.close()
    child = forked.call(killed_renewal.main, tmp_path, step)
    assert child.returncode == -signal.SIGKILL, child.stderr

    clock = FakeClock(SystemClock().now())
    service = Service(tmp_path, clock)
    first, renewal = (tmp_path / "request").read_text().split()
    clock.advance(seconds=31)
    assert service.enrollment.approve(renewal, actor="bob").state is RequestState.ISSUED
    service.settlement.settle_due()
    assert service.settlement.settle_due() == 0

    old, new = service.km.pairs.get(first), service.km.pairs.get(renewal)
    assert new.signing.spki_fingerprint == old.signing.spki_fingerprint
    for pair in (old, new):
        key = open_envelope(decode_enveloped_key(pair.enveloped), HOLDER.decrypt)
        assert key.public_key in (pair.encryption.der or b"")
    rows = service.store.search_certificates(CertificateQuery(issuer="issuing")).items
    issued = [row for row in rows if row.state is CertificateState.ISSUED]
    assert len(issued) == len(rows) == 4, "two whole pairs, and no serial number was burned"
    counted = service.km.centre.count_keys()
    assert (counted[KeyState.IN_USE], counted[KeyState.HISTORY]) == (1, 1)
    service.database.close()
