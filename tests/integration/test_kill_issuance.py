"""kill -9 at every step of issuing: nothing is lost, and nothing is forgotten."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from ca.issuance import find_interrupted
from ca.reasons import RevocationReason
from ca.revocation import RevocationService
from ca.sqlstore import SQLCertificateStore
from ca.store import CertificateQuery, CertificateState
from ca.tbs import parse_tbs
from core.audit_sql import SQLAuditLog
from core.clock import SystemClock
from tests import databases, forked
from tests.integration import killed_issuer
from tests.integration.killed_issuer import ISSUED_BEFORE_THE_KILL, STEPS

# What the last row is when the process is gone: None, no row at all.
LEFT_BEHIND = {
    "before reserve": None,
    "inside the intent transaction": None,
    "after reserve": CertificateState.RESERVED,
    "before sign": CertificateState.RESERVED,
    "after sign": CertificateState.RESERVED,
    "before complete": CertificateState.RESERVED,
    "inside the completing transaction": CertificateState.RESERVED,
    "after complete": CertificateState.ISSUED,
}
SIGNED = STEPS[STEPS.index("after sign") :]


@pytest.mark.parametrize("step", STEPS)
def test_every_serial_given_to_the_signer_is_known_and_can_be_revoked(
    tmp_path: Path, step: str
) -> None:
    database = databases.sqlite(tmp_path, "ca.sqlite3")
    child = forked.call(killed_issuer.main, tmp_path, step)
    assert child.returncode == -signal.SIGKILL, child.stderr

    clock = SystemClock()
    store, audit = SQLCertificateStore(database), SQLAuditLog(database, clock=clock)
    services = {"store": store, "transactions": database, "audit": audit, "clock": clock}
    rows = store.search_certificates(CertificateQuery(issuer="issuing")).items
    last = next((row for row in rows if row.subject == "CN=device-2"), None)
    assert (None if last is None else last.state) == LEFT_BEHIND[step]
    done = [row for row in rows if row.state is CertificateState.ISSUED]
    assert len(done) == ISSUED_BEFORE_THE_KILL + (step == "after complete")

    interrupted = find_interrupted(**services)
    assert len(interrupted) == (LEFT_BEHIND[step] is CertificateState.RESERVED)

    handed = [bytes.fromhex(line) for line in (tmp_path / "witness").read_text().split()]
    assert len(handed) == ISSUED_BEFORE_THE_KILL + (step in SIGNED)
    revocation = RevocationService(**services)
    for tbs in handed:
        serial = parse_tbs(tbs).serial
        row = store.find_certificate("issuing", serial)
        assert row is not None
        assert row.tbs == tbs
        revoked = revocation.revoke("issuing", serial, RevocationReason.SUPERSEDED, actor="bob")
        assert revoked.state is CertificateState.REVOKED

    signing = [event for event in audit.list_events(limit=1000) if "signing" in event.action]
    assert len(signing) >= len(handed)
    database.close()
