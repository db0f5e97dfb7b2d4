"""How fast many certificates are revoked, and how fast their audit rows leave the box.

PYTHONPATH=. .venv/bin/python benchmarks/mass_revocation.py [certificates]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import text

from ca.massrevocation_store import MassState, Selection
from ca.reasons import RevocationReason
from ca.tables import certificates
from core.audit_export import AuditExporter
from core.audit_file import FileTarget
from core.audit_reading import compare, verify_export
from core.audit_sql import SQLAuditLog
from core.clock import SystemClock
from core.db import metadata, open_database
from keystore.algorithms import KeyAlgorithm
from tests.fakes.keys import memory_key
from tests.integration.killed_mass_revocation import open_mass
from tests.unit.ca.conftest import Authority, request
from yinxin.audit_key import AuditKey

_KEPT = [
    column.name
    for column in certificates.c
    if column.name not in {"id", "serial", "fingerprint", "request_id"}
]
_COPY = text(
    f"INSERT INTO certificates (id, serial, {', '.join(_KEPT)}) "  # noqa: S608 - our own columns
    f"SELECT :id, printf('%040x', :id), {', '.join(_KEPT)} FROM certificates WHERE id = :of"
)


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        database = open_database(f"sqlite:///{directory}/x.sqlite3")
        metadata.create_all(database.engine)
        clock = SystemClock()
        audit = SQLAuditLog(database, clock=clock)
        audit.initialise()
        authority = Authority(database, clock, audit)
        authority.issue(request())
        with database.transaction() as connection:
            of = connection.execute(text("SELECT max(id) FROM certificates")).scalar_one()
            rows = [{"id": of + n, "of": of} for n in range(1, count)]
            connection.execute(_COPY, rows)
        mass = open_mass(database, clock)
        selection = Selection(issuer="sm2-issuing")
        job = mass.propose(selection, RevocationReason.CESSATION_OF_OPERATION, actor="bob").id
        time.sleep(4)
        began, cpu = time.perf_counter(), time.process_time()
        while mass.get(job).state is not MassState.DONE:
            mass.run()
        took = time.perf_counter() - began
        cpu = time.process_time() - cpu
        each = cpu * 1000 / count
        print(
            f"revoked {count} in {took:.1f} s: {count / took:.0f}/s, {each:.2f} ms of a core each"
        )

        key = AuditKey(memory_key(KeyAlgorithm.SM2))
        target = FileTarget(Path(directory) / "audit", rotate_octets=1 << 26)
        exporter = AuditExporter(audit, [target], key, rows=1000, seconds=60)
        events = audit.head()[0]
        began = time.perf_counter()
        exporter.run()
        took = time.perf_counter() - began
        print(f"exported {events} rows in {took:.2f} s: {events / took:.0f}/s")
        began = time.perf_counter()
        faults = [verify_export(Path(directory) / "audit", key).fault]
        faults += compare(Path(directory) / "audit", audit.walk())
        took = time.perf_counter() - began
        print(f"verified and compared in {took:.2f} s: {events / took:.0f}/s, faults {faults}")
        exporter.close()
        database.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5000)
