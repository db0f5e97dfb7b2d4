"""One small authority for the tests of `ca`: both hierarchies, on SQLite, with keys in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

import yinxin.schema  # noqa: F401 - every table, before a database is made
from ca.bootstrap import NewIssuer, create_root, create_subordinate
from ca.config import CAConfig
from ca.contents import IssuanceRequest
from ca.issuance import issue_certificate
from ca.issuer import Issued, Issuer
from ca.overview import Overviews
from ca.profiles import CertificateProfile, load_profiles
from ca.routes import make_router
from ca.routes_registration import make_registration_router
from ca.sqloverview import SQLOverviews
from ca.sqlstatistics import SQLStatistics
from ca.sqlstore import SQLCertificateStore
from core.db import Database
from core.http import install_problem_handlers
from keystore import keyref
from keystore.algorithms import KeyAlgorithm, SignatureAlgorithm
from tests import databases
from tests.fakes.audit import MemoryAuditLog
from tests.fakes.clock import FakeClock
from tests.fakes.keys import MemoryKeyBackend, memory_key
from tests.unit.ca.door import Asker
from tests.unit.ca.hierarchies import made_once
from tests.unit.ca.linted import linted_once
from tests.unit.ca.registration import Registration

URL = "http://pki.example.test"
PROFILES = load_profiles()


@dataclass
class Authority:
    database: Database
    clock: FakeClock
    audit: MemoryAuditLog
    keystore: MemoryKeyBackend = field(default_factory=MemoryKeyBackend)
    profiles: dict[str, CertificateProfile] = field(default_factory=lambda: dict(PROFILES))
    issuers: dict[str, Issuer] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store = SQLCertificateStore(self.database)
        seams = {"audit": self.audit, "clock": self.clock}
        once = made_once("ca", database=self.database, keystore=self.keystore, **seams)
        with once if self.profiles == PROFILES else nullcontext():
            for family, algorithm in (("sm2", KeyAlgorithm.SM2), ("rsa", KeyAlgorithm.RSA_3072)):
                self.add_hierarchy(family, algorithm)

    @linted_once()
    def add_hierarchy(
        self, family: str, algorithm: KeyAlgorithm, signature: SignatureAlgorithm | None = None
    ) -> None:
        def new(level: str) -> NewIssuer:
            name = f"{family}-{level}"
            subject = (("C", "CN"), ("O", "测试机构"), ("CN", name))
            ref = keyref.make("memory", object=name)
            return NewIssuer(name, subject, algorithm, ref, signature)

        root = create_root(
            new("root"),
            profile=self.profiles["root"],
            revocation_url=URL,
            keystore=self.keystore,
            **self.services,
        )
        issuing = create_subordinate(
            new("issuing"),
            parent=root,
            profile=self.profiles["issuing-ca"],
            keystore=self.keystore,
            **self.services,
        )
        self.issuers |= {root.name: root, issuing.name: issuing}

    @property
    def services(self) -> dict:
        return {
            "store": self.store,
            "transactions": self.database,
            "audit": self.audit,
            "clock": self.clock,
        }

    def issue(
        self, request: IssuanceRequest, *, profile: str = "device", issuer: str = "sm2-issuing"
    ) -> Issued:
        return issue_certificate(
            request,
            profile=self.profiles[profile],
            issuer=self.issuers[issuer],
            **self.services,
        )


def request(algorithm: KeyAlgorithm = KeyAlgorithm.SM2, **changes) -> IssuanceRequest:
    """A request for a device; each test names its one oddity."""
    fields = {
        "spki": memory_key(algorithm).key.public_key,
        "subject": (("C", "CN"), ("CN", "gateway.example.test")),
        "requester": "alice",
    }
    return IssuanceRequest(**(fields | changes))


@pytest.fixture
def authority(sqlite_database: Database, clock: FakeClock, audit: MemoryAuditLog) -> Authority:
    return Authority(sqlite_database, clock, audit)


@pytest.fixture
def registration(authority: Authority) -> Registration:
    return Registration(authority.database, authority.audit, authority.clock)


@pytest.fixture
def app(authority: Authority, registration: Registration) -> FastAPI:
    return make_app(authority, registration)


@pytest.fixture(scope="module")
def lasting_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    """One for all tests of a file that change nothing: making it costs more than they do."""
    authority = Authority(
        databases.sqlite(tmp_path_factory.mktemp("lasting")), FakeClock(), MemoryAuditLog()
    )
    yield make_app(authority, Registration(authority.database, authority.audit, authority.clock))
    authority.database.close()


def make_app(authority: Authority, registration: Registration) -> FastAPI:
    from tests.unit.ca.desks import operations  # they import this file
    from tests.unit.ca.pairs import key_management

    app = FastAPI()
    install_problem_handlers(app)
    made = operations(authority)
    app.router.routes.extend(
        make_router(
            made.enrollment,
            authority.store,
            key_management(authority).pairs,
            made.desks,
            authority.issuers,
            organisations=registration.organisations,
            subjects=registration.subjects(),
            rights=registration.rights,
            config=CAConfig(revocation_url=URL),
            clock=authority.clock,
        ).routes
    )
    app.router.routes.extend(
        make_registration_router(
            registration.organisations,
            registration.subjects(),
            rights=registration.rights,
            changes=registration.changes,
            reviews=registration.reviews(authority.profiles),
            statistics=SQLStatistics(authority.database),
            overviews=Overviews(SQLOverviews(authority.database), clock=authority.clock),
            clock=authority.clock,
        ).routes
    )
    return app


@pytest.fixture
def asker(app: FastAPI) -> Asker:
    return Asker(app)


@pytest.fixture
def client(asker: Asker) -> TestClient:
    return TestClient(asker, base_url="http://testserver/api/v1")
