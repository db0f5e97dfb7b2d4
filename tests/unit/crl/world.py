"""A small authority with its revocation service, on real stores and keys in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

from ca import issuing
from ca.bootstrap import NewIssuer, create_root, create_subordinate
from ca.contents import IssuanceRequest
from ca.distribution import parse_scope
from ca.issuance import issue_certificate
from ca.issuer import Issued, Issuer
from ca.profiles import load_profiles
from ca.reasons import RevocationReason
from ca.revocation import RevocationService
from ca.serials import SerialNumber
from ca.sqlstatuslog import SQLStatusLog
from ca.sqlstore import SQLCertificateStore
from core.db import Database
from crl.config import CRLConfig, OCSPConfig, RevocationConfig
from crl.generation import CRLGenerator
from crl.ocsp.delegate import Delegates, ensure_delegate
from crl.ocsp.direct import DirectSigners
from crl.ocsp.issuers import IssuerTable
from crl.ocsp.keeper import Keeper
from crl.ocsp.responder import Responder
from crl.schedule import CRLSchedule
from crl.sqlsegments import SQLSegmentStore
from crl.sqlstore import SQLCRLStore
from crl.status import StatusService
from crl.store import CRLRecord, DelegateRecord
from keystore import keyref
from keystore.algorithms import KeyAlgorithm
from tests.fakes.audit import MemoryAuditLog
from tests.fakes.clock import FakeClock
from tests.fakes.keys import MemoryKeyBackend, memory_key
from tests.unit.ca.hierarchies import made_once
from tests.unit.ca.linted import linted_once

PROFILES = load_profiles()
ALGORITHMS = {
    "sm2": KeyAlgorithm.SM2,
    "rsa": KeyAlgorithm.RSA_3072,
    "ec": KeyAlgorithm.EC_P256,
    "ed25519": KeyAlgorithm.ED25519,
}


class World:
    """Roots and issuing CAs of the wanted families, and everything that speaks for them."""

    def __init__(
        self,
        database: Database,
        *families: str,
        clock: FakeClock,
        audit: MemoryAuditLog,
        config: RevocationConfig | None = None,
        revocation_url: str = "http://pki.example.cn",
    ) -> None:
        self.database, self.clock, self.audit = database, clock, audit
        self._revocation_url = revocation_url
        self.config = config or RevocationConfig(
            crl=CRLConfig(), ocsp=OCSPConfig(signer_key="memory:object={name}")
        )
        self.keystore = MemoryKeyBackend()
        self.store = SQLCertificateStore(database)
        self.crl_store = SQLCRLStore(database)
        self.segments = SQLSegmentStore(database)
        self.issuers: dict[str, Issuer] = {}
        seams = {"database": database, "keystore": self.keystore, "audit": audit, "clock": clock}
        with made_once("crl", families, revocation_url, repr(self.config), **seams):
            for family in families:
                self.begin(family)
        self.revocation = RevocationService(
            store=self.store, transactions=database, audit=audit, clock=clock
        )
        self.schedule = self.make_schedule()
        self.statuses = StatusService(
            self.store,
            retention=timedelta(hours=self.config.ocsp.retention_hours),
            clock=clock,
        )
        self.responder = self.make_responder()

    def make_schedule(self) -> CRLSchedule:
        return CRLSchedule(self.issuers, self.make_generator(), clock=self.clock)

    def make_generator(self) -> CRLGenerator:
        return CRLGenerator(
            source=self.store,
            store=self.crl_store,
            segments=self.segments,
            partitionings=self.segments,
            config=self.config.crl,
            transactions=self.database,
            audit=self.audit,
            clock=self.clock,
        )

    def make_responder(self) -> Responder:
        return Responder(
            IssuerTable(self.issuers.values()),
            self.make_signers(),
            self.statuses,
            config=self.config.ocsp,
            clock=self.clock,
        )

    def make_signers(self) -> DirectSigners:
        delegates = Delegates(self.crl_store, self.store, self.keystore)
        return DirectSigners(self.issuers, self.config.ocsp.direct_issuers, delegates)

    def make_keeper(self, directory: Path) -> Keeper:
        keeper = Keeper.open(
            directory,
            status_log=SQLStatusLog(self.database),
            delegates=self.make_signers(),
            config=self.config.ocsp,
            clock=self.clock,
        )
        keeper.keep_issuers(self.issuers.values())
        return keeper

    @linted_once()
    def ensure_delegate(self, issuer: str) -> DelegateRecord:
        def issue(request: IssuanceRequest, issuer: Issuer) -> Issued:
            return issue_certificate(
                request,
                profile=PROFILES["ocsp-signer"],
                issuer=issuer,
                store=self.store,
                transactions=self.database,
                audit=self.audit,
                clock=self.clock,
            )

        return ensure_delegate(
            self.issuers[issuer],
            store=self.crl_store,
            source=self.store,
            issue=issue,
            keystore=self.keystore,
            config=self.config.ocsp,
            transactions=self.database,
            audit=self.audit,
            clock=self.clock,
        )

    @linted_once()
    def issue(
        self,
        issuer: str,
        name: str = "gateway.example.cn",
        days: int = 365,
        requester: str = "tester",
    ) -> Issued:
        algorithm = self.issuers[issuer].signer.key.algorithm
        return issue_certificate(
            IssuanceRequest(
                spki=memory_key(algorithm).key.public_key,
                subject=(("C", "CN"), ("CN", name)),
                requester=requester,
                validity_days=days,
            ),
            profile=PROFILES["device"],
            issuer=self.issuers[issuer],
            store=self.store,
            transactions=self.database,
            audit=self.audit,
            clock=self.clock,
        )

    def issue_with_serial(self, issuer: str, serial: int) -> Issued:
        """Issue under a serial number that is not drawn."""
        drawn = issuing.random_serial
        issuing.random_serial = lambda: SerialNumber(serial)
        try:
            return self.issue(issuer, f"{serial:x}.example.cn"[-60:])
        finally:
            issuing.random_serial = drawn

    def revoke(
        self, issued: Issued, reason: RevocationReason = RevocationReason.KEY_COMPROMISE
    ) -> None:
        self.revocation.revoke(issued.issuer, issued.serial, reason, actor="tester")

    def generate(self, name: str) -> CRLRecord:
        scope = parse_scope(name)
        return self.make_generator().complete(self.issuers[scope.issuer], scope)

    def partition(self, issuer: str, partitions: int) -> None:
        """Divide the certificates that the issuer issues from now on."""
        made = replace(self.issuers[issuer], crl_partitions=partitions)
        self.segments.add_partitioning(issuer, partitions, made.revocation_url)
        self.issuers[issuer] = made

    @linted_once()
    def begin(self, family: str) -> None:
        algorithm = ALGORITHMS[family]
        seams = {
            "keystore": self.keystore,
            "store": self.store,
            "transactions": self.database,
            "audit": self.audit,
            "clock": self.clock,
        }
        new = partial(NewIssuer, algorithm=algorithm)
        subject = (("C", "CN"), ("O", "Yinxin Test"))
        root = create_root(
            new(
                name=f"{family}-root",
                subject=(*subject, ("CN", f"{family} root")),
                key_ref=keyref.make("memory", object=f"{family}-root"),
            ),
            profile=PROFILES["root"],
            revocation_url=self._revocation_url,
            **seams,
        )
        issuing = create_subordinate(
            new(
                name=f"{family}-issuing",
                subject=(*subject, ("CN", f"{family} issuing")),
                key_ref=keyref.make("memory", object=f"{family}-issuing"),
            ),
            parent=root,
            profile=PROFILES["issuing-ca"],
            **seams,
        )
        self.issuers |= {root.name: root, issuing.name: issuing}
        for issuer in (root, issuing):
            self.issuers[issuer.name] = issuer
            self.ensure_delegate(issuer.name)
