"""A child process that issues certificates on SQLite and kills itself at one step.

Its signer writes each to-be-signed certificate to a side file, with fsync, before signing.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from ca.bootstrap import NewIssuer, create_root, create_subordinate
from ca.contents import IssuanceRequest
from ca.issuance import issue_certificate
from ca.issuer import Issued, Issuer, Prepared, Reserved
from ca.profiles import load_profiles
from ca.sqlstore import SQLCertificateStore
from core.audit_sql import SQLAuditLog
from core.clock import SystemClock
from core.db import open_database
from keystore import keyref
from keystore.algorithms import KeyAlgorithm
from tests.fakes.keys import MemoryKeyBackend, memory_key

STEPS = (
    "before reserve",
    "inside the intent transaction",
    "after reserve",
    "before sign",
    "after sign",
    "before complete",
    "inside the completing transaction",
    "after complete",
)
ISSUED_BEFORE_THE_KILL = 2


class Killer:
    def __init__(self, step: str) -> None:
        self.step = step
        self.armed = False

    def reach(self, step: str) -> None:
        if self.armed and step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


class WitnessedSigner:
    def __init__(self, signer, witness: Path, killer: Killer) -> None:
        self.key, self.algorithm = signer.key, signer.algorithm
        self._signer, self._witness, self._killer = signer, witness, killer

    def sign(self, message: bytes) -> bytes:
        self._killer.reach("before sign")
        with self._witness.open("ab") as file:
            file.write(message.hex().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        signature = self._signer.sign(message)
        self._killer.reach("after sign")
        return signature


class KillingStore(SQLCertificateStore):
    killer: Killer

    def reserve_all(self, prepared: Sequence[Prepared], *, now: datetime) -> Sequence[Reserved]:
        self.killer.reach("before reserve")
        reserved = super().reserve_all(prepared, now=now)
        self.killer.reach("inside the intent transaction")
        return reserved

    def complete_all(self, issued: Sequence[Issued], *, now: datetime) -> bool:
        self.killer.reach("before complete")
        done = super().complete_all(issued, now=now)
        self.killer.reach("inside the completing transaction")
        return done


class KillingTransactions:
    """Kills after the commit of the first or the second transaction of an issuance."""

    def __init__(self, database, killer: Killer) -> None:
        self._database, self._killer, self._commits = database, killer, 0

    def transaction(self):
        return self

    def __enter__(self):
        self._open = self._database.transaction()
        return self._open.__enter__()

    def __exit__(self, *error) -> bool | None:
        suppressed = self._open.__exit__(*error)
        self._commits += 1
        self._killer.reach("after reserve" if self._commits % 2 else "after complete")
        return suppressed


def main(directory: Path, step: str) -> None:
    killer = Killer(step)
    database = open_database(f"sqlite:///{directory}/ca.sqlite3")
    store, clock = KillingStore(database), SystemClock()
    store.killer = killer
    audit, profiles = SQLAuditLog(database, clock=clock), load_profiles()
    audit.initialise()
    keystore = MemoryKeyBackend()
    services = {"store": store, "transactions": database, "audit": audit, "clock": clock}
    hierarchy = {"keystore": keystore, **services}

    def new(name: str) -> NewIssuer:
        subject = (("C", "CN"), ("O", "Test"), ("CN", name))
        return NewIssuer(name, subject, KeyAlgorithm.SM2, keyref.make("memory", object=name))

    root = create_root(
        new("root"), profile=profiles["root"], revocation_url="http://pki.test", **hierarchy
    )
    made = create_subordinate(
        new("issuing"), parent=root, profile=profiles["issuing-ca"], **hierarchy
    )
    signer = WitnessedSigner(made.signer, directory / "witness", killer)
    issuer = Issuer(
        made.name, made.certificate, made.chain, signer, made.subject, made.revocation_url
    )
    services["transactions"] = KillingTransactions(database, killer)
    for number in range(ISSUED_BEFORE_THE_KILL + 1):
        killer.armed = number == ISSUED_BEFORE_THE_KILL
        wanted = IssuanceRequest(
            spki=memory_key(KeyAlgorithm.SM2).key.public_key,
            subject=(("CN", f"device-{number}"),),
            requester="alice",
            request_id=f"request-{number}",
        )
        issue_certificate(wanted, profile=profiles["device"], issuer=issuer, **services)
