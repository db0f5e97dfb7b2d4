"""How fast the re-audit is, and what it keeps: python -m benchmarks.check [certificates]."""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from dataclasses import replace

from ca.bootstrap import NewIssuer, create_root, create_subordinate
from ca.contents import IssuanceRequest
from ca.issuing import Issuing
from ca.profiles import load_profiles
from ca.sqlcheck import SQLCheckSource
from ca.sqlstore import SQLCertificateStore
from core.audit_sql import SQLAuditLog
from core.clock import SystemClock
from core.db import Database, open_database
from keystore import keyref
from keystore.algorithms import KeyAlgorithm
from tests.fakes.keys import MemoryKeyBackend
from yinxin.check import Check, Rules, Span
from yinxin.schema import upgrade

AT_ONCE = 200


def fill(database: Database, count: int) -> None:
    clock, keys = SystemClock(), MemoryKeyBackend()
    audit, profiles = SQLAuditLog(database, clock=clock), load_profiles()
    audit.initialise()
    store = SQLCertificateStore(database)
    common = {"store": store, "transactions": database, "audit": audit, "clock": clock}

    def new(name: str) -> NewIssuer:
        subject = (("C", "CN"), ("O", "某省"), ("CN", name))
        return NewIssuer(name, subject, KeyAlgorithm.SM2, keyref.make("memory", object=name))

    root = create_root(
        new("root"),
        profile=profiles["root"],
        revocation_url="http://pki.example.test",
        keystore=keys,
        **common,
    )
    issuer = create_subordinate(
        new("issuing"), parent=root, profile=profiles["issuing-ca"], keystore=keys, **common
    )
    spki = keys.generate(keyref.make("memory", object="device"), KeyAlgorithm.SM2).public_key
    wanted = IssuanceRequest(spki=spki, subject=(), requester="benchmark")
    issuing = Issuing(issuer, store, database, audit, clock)
    for start in range(0, count, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, count))
        issuing.issue(
            [
                [(replace(wanted, subject=(("C", "CN"), ("CN", f"设备 {n}"))), profiles["device"])]
                for n in numbers
            ]
        )


def measure(database: Database) -> None:
    audit = SQLAuditLog(database, clock=SystemClock())
    check = Check.over(database, audit, Rules(load_profiles()))
    before, started = _resident(), time.process_time()
    faults: list[object] = []
    newest = SQLCheckSource(database).newest()
    check.run(Span(0, newest), report=faults.append, progress=lambda _after, _count: None)
    spent = time.process_time() - started
    print(f"{newest} certificates, {len(faults)} faults: {spent:.1f} s of processor time,")
    print(f"{newest / spent:.0f} a second; {(_resident() - before) / 1024:.1f} MiB more memory")


def _resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    with tempfile.TemporaryDirectory() as directory:
        database = open_database(f"sqlite:///{directory}/check.sqlite3")
        upgrade(database)
        fill(database, count)
        measure(database)
        database.close()


if __name__ == "__main__":
    main()
