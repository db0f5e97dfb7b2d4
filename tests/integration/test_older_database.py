"""`yinxin serve` over a database that was put back from an older copy: it does not listen.

The same with real certificates, completed and served again, is `tests/integration/restored.py`.
"""

from __future__ import annotations

import shutil
import subprocess
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import insert, update

from ca.serials import to_hex
from ca.sqlstatuslog import SQLStatusLog
from core.db import Database, metadata, open_database
from crl.ocsp.follow import LogFollower
from crl.ocsp.keeper import PULSE_FILE, STORE_FILE
from crl.ocsp.pulse import Pulse
from crl.ocsp.store import StatusStore
from tests import databases
from tests.ports import free_ports
from tests.service import yinxin

CERTIFICATES = metadata.tables["certificates"]
NOW = datetime.now(UTC).replace(microsecond=0)


def enter(database: Database, serial: int) -> None:
    """A certificate as it is issued, for what the status log keeps of it."""
    with database.engine.begin() as connection:
        connection.execute(
            insert(CERTIFICATES).values(
                serial=to_hex(serial),
                issuer="rsa-issuing",
                not_before=NOW - timedelta(days=1),
                not_after=NOW + timedelta(days=365),
                tbs=b"\x30\x00",
                der=b"\x30\x00",
                fingerprint=f"{serial:064x}",
                spki_fingerprint=f"{serial:064x}",
                reserved_at=NOW,
                issued_at=NOW,
                state="issued",
                profile="device",
                subject="CN=test",
                requester="test",
            )
        )


def revoke(database: Database, serial: int) -> None:
    with database.engine.begin() as connection:
        connection.execute(
            update(CERTIFICATES)
            .where(CERTIFICATES.c.serial == to_hex(serial))
            .values(state="revoked", reason="superseded", revoked_at=NOW)
        )


def follow(state: Path, database: Database) -> None:
    """What the service does all the time."""
    pulse = Pulse(state / PULSE_FILE)
    with closing(StatusStore.open(state / STORE_FILE, gibibytes=1, writable=True)) as store:
        LogFollower(SQLStatusLog(database), store, pulse, directory=state).follow()


def run(state: Path, *words: str) -> subprocess.CompletedProcess[str]:
    names = ("HTTPS_PORT", "MUTUAL_TLS_PORT", "HTTP_PORT")
    ports = zip(names, free_ports(3), strict=True)
    environment = {f"YINXIN_SERVER__{name}": str(port) for name, port in ports}
    return yinxin("--state", state, *words, environment=environment, check=False)


def test_it_is_refused_and_said_what_is_missing(tmp_path: Path):
    state, older = tmp_path / "var", tmp_path / "older"
    state.mkdir(mode=0o700)
    databases.lay_tables(state)
    file = state / "yinxin.sqlite3"
    database = open_database(f"sqlite:///{file}")
    enter(database, 7)
    follow(state, database)
    database.engine.dispose()
    shutil.copy(file, older)
    revoke(database, 7)
    enter(database, 8)
    follow(state, database)
    database.engine.dispose()
    for suffix in ("-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
    shutil.copy(older, file)
    refused = run(state, "serve")
    assert refused.returncode != 0
    assert "older than what this host knows" in refused.stderr
    assert "yinxin reconcile" in refused.stderr
    shown = run(state, "reconcile")
    assert shown.returncode == 3, shown
    assert f"{to_hex(7).lstrip('0')}: revoked, here issued" in shown.stdout
    assert f"{to_hex(8).lstrip('0')}: issued, here None" in shown.stdout
