"""The re-audit finds every planted error, names it, and says nothing of a healthy database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest
from sqlalchemy import delete, insert, select, text, update

import yinxin.check
from ca.check_fault import KINDS, Fault
from ca.distribution import Scope
from ca.issuance import issue_certificate
from ca.issuer import Issued
from ca.lint import Linter
from ca.reasons import RevocationReason
from ca.requests import encryption_request_id
from ca.serials import random_serial, to_hex
from ca.sqlcheck import Row, SQLCheckSource
from ca.tables import (
    certificate_terms,
    certificates,
    enrollment_requests,
    issuers,
    key_pairs,
    revocation_events,
)
from ca.tables_counts import certificate_count_changes
from core.audit_sql import SQLAuditLog
from core.audit_tables import audit_events
from core.db import Database
from crl.config import CRLConfig
from crl.generation import CRLGenerator
from crl.sqlsegments import SQLSegmentStore
from crl.sqlstore import SQLCRLStore
from crl.tables import crls
from tests import databases
from tests.fakes.clock import FakeClock
from tests.unit.ca.conftest import Authority, request
from tests.unit.ca.test_dual import World as Pairs
from yinxin.check import Check, Rules, Span
from yinxin.check_audit import AuditTrail
from yinxin.check_issuers import CheckedIssuers

C = certificates.c
SM2 = "sm2-issuing"


class Blind(Linter):
    """Lets everything be signed."""

    def check_tbs(self, tbs: bytes, *, signature_algorithm: bytes, issuer: bytes | None) -> None:
        pass


class World:
    """An authority with one certificate of every fate, and a CRL."""

    def __init__(self, database: Database) -> None:
        self.clock = FakeClock()
        self.audit = SQLAuditLog(database, clock=self.clock)
        self.audit.initialise()
        self.database = database
        self.authority = Authority(database, self.clock, self.audit)  # type: ignore[arg-type]
        self.pairs = Pairs(self.authority)
        self.crls = SQLCRLStore(database)
        self.device = self.issue("device")
        self.early_crl = self.make_crl()
        self.revoked, self.held, self.released = map(self.issue, ("revoked", "held", "released"))
        revocation = self.pairs.revocation
        revocation.revoke(SM2, self.revoked.serial, RevocationReason.SUPERSEDED, actor="bob")
        revocation.hold(SM2, self.held.serial, actor="bob")
        revocation.hold(SM2, self.released.serial, actor="bob")
        revocation.release(SM2, self.released.serial, actor="bob")
        self.pair = self.pairs.issue()
        self.reserve_only()
        self.clock.advance(minutes=1)
        self.make_crl()

    def issue(self, name: str, **changes) -> Issued:
        return self.authority.issue(request(subject=(("C", "CN"), ("CN", name))), **changes)

    def reserve_only(self) -> None:
        prepared = self.authority.issuers[SM2].prepare(
            request(),
            profile=self.authority.profiles["device"],
            serial=random_serial(),
            now=self.clock.now(),
        )
        self.authority.store.reserve_all([prepared], now=self.clock.now())

    def make_crl(self) -> bytes:
        segments = SQLSegmentStore(self.database)
        generator = CRLGenerator(
            source=self.authority.store,
            store=self.crls,
            segments=segments,
            partitionings=segments,
            config=CRLConfig(),
            transactions=self.database,
            audit=self.audit,
            clock=self.clock,
        )
        return generator.complete(self.authority.issuers[SM2], Scope(SM2)).der

    def run(self, *statements) -> None:
        with self.database.transaction() as connection:
            for statement in statements:
                connection.execute(statement)

    def set(self, of: Issued, **values) -> None:
        self.run(update(certificates).where(C.serial == to_hex(of.serial)).values(values))

    @property
    def source(self) -> SQLCheckSource:
        return SQLCheckSource(self.database)

    def check(
        self,
        span: Span | None = None,
        source: SQLCheckSource | None = None,
        progress: Callable[[int, int], None] = lambda _after, _count: None,
        **rules,
    ) -> list[Fault]:
        found: list[Fault] = []
        source = source or self.source
        Check(
            source,
            CheckedIssuers(self.authority.store, self.crls),
            AuditTrail(self.audit),
            Rules(self.authority.profiles, **rules),
        ).run(span or Span(0, source.newest()), report=found.append, progress=progress)
        return found


class Undo(Exception):
    pass


@contextmanager
def undone(made: World) -> Iterator[World]:
    """What a test does to a world is rolled back: building one takes longer than checking it."""
    with suppress(Undo), made.database.transaction():
        yield made
        raise Undo


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    database = databases.sqlite(tmp_path_factory.mktemp("check"), "test.sqlite3")
    yield World(database)
    database.close()


@pytest.fixture(scope="module")
def on_postgres(postgres_url: str) -> Iterator[World]:
    database = databases.on_postgres(postgres_url)
    yield World(database)
    database.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with undone(request.getfixturevalue(f"on_{request.param}")) as made:
        yield made


@pytest.fixture
def small(on_sqlite: World) -> Iterator[World]:
    with undone(on_sqlite) as made:
        yield made


# ---- the planted errors --------------------------------------------------------------------------


def _signature(w: World) -> None:
    octets = w.device.der[:-1] + bytes((w.device.der[-1] ^ 1,))
    w.set(w.device, der=octets, fingerprint=Issued(SM2, w.device.serial, octets).fingerprint)


def _lint(w: World) -> None:
    careless = replace(w.authority.issuers[SM2], linter=Blind())
    profile = w.authority.profiles["device"].model_copy(update={"crl_distribution_points": False})
    issue_certificate(request(), profile=profile, issuer=careless, **w.authority.services)


def _partition(w: World) -> None:
    careless = replace(w.authority.issuers[SM2], crl_partitions=4)
    with patch("ca.extensions.scope_of", lambda issuer, serial, n: Scope(issuer, n, ~serial % n)):
        issue_certificate(
            request(),
            profile=w.authority.profiles["device"],
            issuer=careless,
            **w.authority.services,
        )


def _content(w: World) -> None:
    asked = select(enrollment_requests.c.content).where(enrollment_requests.c.id == w.pair)
    with w.database.reading() as connection:
        content = connection.execute(asked).scalar_one()
    changed = content.replace('"spki": "30', '"spki": "31')
    w.run(update(enrollment_requests).values(content=changed))


def _state_of_half(w: World) -> None:
    half = C.request_id == encryption_request_id(w.pair)
    values = {"state": "revoked", "revoked_at": w.clock.now(), "reason": "superseded"}
    w.run(update(certificates).where(half).values(values))


def _lost_half(w: World) -> None:
    half = select(C.id).where(C.request_id == encryption_request_id(w.pair))
    w.run(
        delete(certificate_terms).where(certificate_terms.c.certificate_id.in_(half)),
        delete(certificates).where(C.request_id == encryption_request_id(w.pair)),
    )


def _event_of_nobody(w: World) -> None:
    values = {
        "issuer": SM2,
        "position": 999,
        "serial": "11" * 20,
        "state": "revoked",
        "reason": "superseded",
        "at": w.clock.now(),
        "actor": "mallory",
    }
    w.run(insert(revocation_events).values(values))


def _damaged_crl(w: World) -> None:
    current = w.crls.find_current(SM2)
    assert current is not None
    w.run(update(crls).values(der=current.der[:-1] + bytes((current.der[-1] ^ 1,))))


def _lost_event(w: World) -> None:
    serial = to_hex(w.device.serial)
    issued = audit_events.c.action == "certificate.issued"
    w.run(delete(audit_events).where(issued, audit_events.c.detail.contains(serial)))


def _revocation_forgotten(w: World) -> None:
    mine = revocation_events.c.serial == to_hex(w.revoked.serial)
    w.run(delete(revocation_events).where(mine))


def _changes_forgotten(w: World) -> None:
    some = select(certificate_count_changes.c.number).limit(1)
    w.run(delete(certificate_count_changes).where(certificate_count_changes.c.number.in_(some)))


def _requests(**values) -> Callable[[World], None]:
    return lambda w: w.run(update(enrollment_requests).values(values))


PLANTED: dict[str, tuple[Callable[[World], None], set[str]]] = {
    "a reason that nobody knows": (lambda w: w.set(w.revoked, reason="bored"), {"row"}),
    "octets that are none": (lambda w: w.set(w.device, der=b"\x30\x00"), {"octets"}),
    "another intent": (lambda w: w.set(w.device, tbs=w.revoked.der), {"intent"}),
    "a damaged signature": (_signature, {"signature", "audit"}),
    "another serial": (lambda w: w.set(w.device, serial="11" * 20), {"serial", "audit"}),
    "another fingerprint": (
        lambda w: w.set(w.device, fingerprint="0" * 64),
        {"fingerprint", "audit"},
    ),
    "another key": (lambda w: w.set(w.device, spki_fingerprint="0" * 64), {"key"}),
    "another subject": (lambda w: w.set(w.device, subject="CN=somebody else"), {"subject"}),
    "another end": (
        lambda w: w.set(w.device, not_after=w.clock.now() + timedelta(days=9000)),
        {"validity"},
    ),
    "an unknown issuer": (lambda w: w.set(w.device, issuer="nobody"), {"issuer", "audit"}),
    "another parent": (
        lambda w: w.run(update(issuers).where(issuers.c.name == SM2).values(parent="rsa-root")),
        {"chain"},
    ),
    "no parent": (
        lambda w: w.run(update(issuers).where(issuers.c.name == SM2).values(parent="gone")),
        {"chain"},
    ),
    "a broken rule": (_lint, {"lint"}),
    "the CRL of another serial": (_partition, {"partition"}),
    "another profile": (lambda w: w.set(w.device, profile="ocsp-signer"), {"profile"}),
    "a lost profile": (lambda w: w.set(w.device, profile="gone"), {"profile"}),
    "a rejected request": (_requests(state="rejected"), {"request"}),
    "a request for another profile": (_requests(profile="device"), {"request"}),
    "a request for another key": (_content, {"request"}),
    "a lost request": (lambda w: w.run(delete(enrollment_requests)), {"request"}),
    "a lost envelope": (lambda w: w.run(delete(key_pairs)), {"pair"}),
    "a lost half": (_lost_half, {"pair", "audit"}),
    "half a revocation": (_state_of_half, {"pair", "revocation"}),
    "a lost certificate": (
        lambda w: w.set(w.device, der=None, fingerprint=None),
        {"state", "audit"},
    ),
    "a revocation undone": (
        lambda w: w.set(w.revoked, state="issued", revoked_at=None, reason=None),
        {"revocation", "crl"},
    ),
    "another reason": (
        lambda w: w.set(w.revoked, reason="keyCompromise"),
        {"revocation", "crl"},
    ),
    "a revocation without event": (_revocation_forgotten, {"revocation"}),
    "an event without certificate": (_event_of_nobody, {"revocation"}),
    "a CRL that forgot": (lambda w: w.run(update(crls).values(der=w.early_crl)), {"crl"}),
    "a damaged CRL": (_damaged_crl, {"crl"}),
    "a change that is not counted": (_changes_forgotten, {"counts"}),
    "a lost audit event": (_lost_event, {"audit"}),
}


@pytest.mark.parametrize("words", PLANTED)
def test_a_planted_error_is_found(world: World, words: str) -> None:
    plant, expected = PLANTED[words]
    plant(world)
    found = world.check()
    assert {one.kind for one in found} == expected, found


def test_a_healthy_database_has_no_fault(world: World) -> None:
    assert world.check(every=True) == []


def test_a_serial_in_two_rows_is_found_without_the_constraint(small: World) -> None:
    serial = to_hex(small.device.serial)
    with small.database.transaction() as connection:
        row = connection.execute(select(certificates).where(C.serial == serial)).one()
        for statement in (
            "ALTER TABLE certificates RENAME TO constrained",
            "CREATE TABLE certificates AS SELECT * FROM constrained",
        ):
            connection.execute(text(statement))
        connection.execute(insert(certificates).values({**row._mapping, "id": row.id + 99}))
    found = [one for one in small.check() if one.kind == "duplicate"]
    assert [(one.issuer, one.serial) for one in found] == [(SM2, serial)]


def test_every_kind_of_fault_is_planted() -> None:
    planted = {kind for _, kinds in PLANTED.values() for kind in kinds} | {"duplicate"}
    assert planted == set(KINDS)


# ---- what is said, and when ----------------------------------------------------------------------


def test_a_fault_names_the_certificate(small: World) -> None:
    small.set(small.device, subject="CN=x")
    (found,) = small.check()
    assert (found.issuer, found.serial) == (SM2, to_hex(small.device.serial))
    assert found.sentence == "the certificate's is CN=device,C=CN"


def test_accepted_findings_are_no_faults(small: World) -> None:
    _lint(small)
    assert [one.kind for one in small.check()] == ["lint"]
    assert small.check(accepted={"x509.revocation"}) == []


class Changing(SQLCheckSource):
    """Reads a page before the last revocations, as another process would."""

    again_calls = 0

    def page(self, *, after: int, newest: int, limit: int) -> Sequence[Row]:
        found = super().page(after=after, newest=newest, limit=limit)
        return [replace(row, evidence=replace(row.evidence, event=None)) for row in found]

    def again(self, ids: Sequence[int]) -> Sequence[Row]:
        self.again_calls += 1
        return super().again(ids)


def test_what_changes_meanwhile_is_read_again_before_it_is_said(small: World) -> None:
    source = Changing(small.database)
    assert small.check(source=source) == []
    assert source.again_calls == 1


def test_an_issue_after_the_start_is_no_fault(small: World) -> None:
    span = Span(0, small.source.newest())
    small.issue("later")
    assert small.check(span) == []


def test_only_what_is_new_is_read(small: World) -> None:
    small.set(small.device, subject="CN=x")
    small.clock.advance(days=2)
    assert small.check(Span(small.source.before(small.clock.now()), small.source.newest())) == []
    late = small.issue("late")
    small.set(late, subject="CN=y")
    after = small.source.before(small.clock.now())
    (found,) = small.check(Span(after, small.source.newest()))
    assert found.serial == to_hex(late.serial)
    assert small.source.before(datetime(2000, 1, 1, tzinfo=UTC)) == 0


def test_pages_are_small_and_the_place_is_told(
    small: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yinxin.check, "PAGE", 3)
    places: list[tuple[int, int]] = []
    small.set(small.device, subject="CN=x")
    found = small.check(progress=lambda after, count: places.append((after, count)))
    newest = small.source.newest()
    assert len(found) == 1
    assert sum(count for _, count in places) == small.source.count(after=0, newest=newest)
    assert places[-1][0] == newest
    assert all(count <= 3 for _, count in places)
    # From the place behind the fault on, there is none.
    behind = next(after for after, _ in places if after >= 5)
    assert small.check(Span(behind, newest)) == []
