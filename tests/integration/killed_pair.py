"""A child process that issues pairs on SQLite and kills itself at one step.

Its keystore is the software one, so that the next process can open what it sealed.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from ca.bootstrap import NewIssuer, create_root, create_subordinate
from ca.contents import IssuanceRequest
from ca.enrollment import EnrollmentService
from ca.issuers import load_issuers
from ca.issuing import Issuing
from ca.profiles import load_profiles
from ca.sqlrequests import SQLRequestStore
from ca.sqlstore import SQLCertificateStore
from core.audit_sql import SQLAuditLog
from core.clock import Clock, SystemClock
from core.db import Database, open_database
from keystore import keyref, sm2
from keystore.algorithms import KeyAlgorithm
from keystore.backends.software import SoftwareKeyBackend
from keystore.escrow.config import KeyManagementConfig
from keystore.escrow.sqlstore import SQLEscrowStore
from keystore.wrap import Argon2idParameters
from yinxin.key_management import KeyManagement

STEPS = (
    "inside the assignment",
    "after the assignment",
    "after the envelope",
    "inside the intent transaction",
    "after reserve",
    "between the two signatures",
    "inside the completing transaction",
    "after complete",
)
HOLDER = sm2.PrivateKey.from_scalar(0x3945208F7B2144B13F36E38AC6D39F95)


class Service:
    """An authority with its key management centre, in one directory."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self.database: Database = open_database(f"sqlite:///{directory}/ca.sqlite3")
        parameters = Argon2idParameters(memory_kib=8_192, iterations=1, lanes=1)
        keystore = SoftwareKeyBackend.open(
            directory / "keys", lambda: b"passphrase", parameters=parameters
        )
        self.keystore = keystore
        self.audit, self.profiles = SQLAuditLog(self.database, clock=clock), load_profiles()
        self.audit.initialise()
        self.store = SQLCertificateStore(self.database)
        common = {"transactions": self.database, "audit": self.audit, "clock": clock}
        if not self.store.list_issuers():
            self._create(keystore, common)
        self.km = KeyManagement.assemble(
            KeyManagementConfig(standby_minimum=1, standby_target=4),
            self.database,
            keystore=keystore,
            profiles=self.profiles,
            certificates=self.store,
            audit=self.audit,
            clock=clock,
        )
        self.enrollment = EnrollmentService(
            profiles=self.profiles,
            issuers=load_issuers(self.store, keystore, revocation_url="http://pki.test"),
            certificates=self.store,
            requests=SQLRequestStore(self.database),
            pairs=self.km.pairs,
            **common,
        )

    def _create(self, keystore: SoftwareKeyBackend, common: dict) -> None:
        def new(name: str) -> NewIssuer:
            subject = (("C", "CN"), ("O", "Test"), ("CN", name))
            return NewIssuer(name, subject, KeyAlgorithm.SM2, keyref.make("software", object=name))

        hierarchy = {"keystore": keystore, "store": self.store, **common}
        root = create_root(
            new("root"),
            profile=self.profiles["root"],
            revocation_url="http://pki.test",
            **hierarchy,
        )
        create_subordinate(
            new("issuing"), parent=root, profile=self.profiles["issuing-ca"], **hierarchy
        )

    def submit(self, name: str) -> str:
        wanted = IssuanceRequest(spki=HOLDER.public_key, subject=(("CN", name),), requester="alice")
        return self.enrollment.submit(wanted, profile="device-dual-signing", issuer="issuing").id


def main(directory: Path, step: str) -> None:
    service = Service(directory, SystemClock())
    service.km.centre.refill()
    service.enrollment.approve(service.submit("first"), actor="bob")
    request_id = service.submit("killed")
    (directory / "request").write_text(request_id)
    _arm(step, service)
    service.enrollment.approve(request_id, actor="bob")


def _arm(step: str, service: Service) -> None:
    """Put the kill where `step` says, after or before the real act."""

    def after(owner: object, name: str, times: int = 1) -> None:
        real, calls = getattr(owner, name), []

        def call(*arguments, **named):
            result = real(*arguments, **named)
            calls.append(1)
            if len(calls) == times:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        setattr(owner, name, call)

    issuer = type(service.enrollment.issuers["issuing"])
    targets = {
        "inside the assignment": (SQLEscrowStore, "take_standby"),
        "after the assignment": (service.km.centre, "_take"),
        "after the envelope": (service.km.pairs._pairs, "add_pair"),
        "inside the intent transaction": (SQLCertificateStore, "reserve_all"),
        "after reserve": (Issuing, "_reserve"),
        "between the two signatures": (issuer, "sign"),
        "inside the completing transaction": (SQLCertificateStore, "complete_all"),
        "after complete": (Issuing, "_complete"),
    }
    after(*targets[step])
