"""Revoking many certificates: who is chosen, how it goes on, and keys that are blocked with it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from ca import massrevocation
from ca.blockedkeys import BlockedKeys
from ca.massrevocation import MassRevocations
from ca.massrevocation_store import MassState, Selection
from ca.reasons import RevocationReason
from ca.revocation import RevocationService
from ca.routes_massrevocation import make_router
from ca.serials import to_hex
from ca.sqlblockedkeys import SQLBlockedKeyStore
from ca.store import CertificateQuery, CertificateState
from core.config import ActRule, ControlConfig
from core.control import DualControl
from core.control_sql import SQLProposalStore
from core.control_store import ProposalState
from core.db import Database
from core.errors import Forbidden, Malformed, NotFound, Refused, Unavailable
from core.http import install_problem_handlers
from core.identity import Principal, Role
from keystore import sm2
from tests.fakes.audit import MemoryAuditLog
from tests.fakes.clock import FakeClock
from tests.unit.ca.conftest import PROFILES, Authority, request
from tests.unit.ca.door import Asker
from yinxin.massrevocation import open_mass_revocations

COMPROMISED = RevocationReason.KEY_COMPROMISE
SHARED = sm2.PrivateKey.generate().public_key


class World:
    def __init__(self, authority: Authority, approvals: int = 0) -> None:
        self.authority, self.clock, self.audit = authority, authority.clock, authority.audit
        self.told: list[str] = []
        common = {
            "transactions": authority.database,
            "audit": authority.audit,
            "clock": authority.clock,
        }
        self.control = DualControl(
            SQLProposalStore(authority.database),
            config=ControlConfig(mass_revocation=ActRule(approvals=approvals)),
            **common,
        )
        self.blocked = BlockedKeys(SQLBlockedKeyStore(authority.database), **common)
        self.revocation = RevocationService(listeners=(self.told.append,), **authority.services)
        self.mass: MassRevocations = open_mass_revocations(
            authority.database,
            self.revocation,
            self.blocked,
            profiles=PROFILES,
            control=self.control,
            audit=authority.audit,
            clock=authority.clock,
        )

    def issue(self, count: int, **how) -> list[str]:
        issuer = how.pop("issuer", "sm2-issuing")
        changes = {name: how.pop(name) for name in ("spki", "organisation_id") if name in how}
        return [
            to_hex(self.authority.issue(request(**changes), issuer=issuer, **how).serial)
            for _ in range(count)
        ]

    def revoke(self, selection: Selection, reason: RevocationReason = COMPROMISED) -> str:
        made = self.mass.propose(selection, reason, actor="bob")
        assert made.state is ProposalState.EXECUTED
        return made.id

    def work(self) -> int:
        self.clock.advance(seconds=3)
        return self.mass.run()

    def revoked(self) -> set[str]:
        query = CertificateQuery(state=CertificateState.REVOKED)
        page = self.authority.store.search_certificates(query, limit=1000)
        return {to_hex(one.serial) for one in page.items}


@pytest.fixture
def authority(sqlite_database: Database, clock: FakeClock, audit: MemoryAuditLog) -> Authority:
    return Authority(sqlite_database, clock, audit)


@pytest.fixture
def world(authority: Authority) -> World:
    return World(authority)


# ---- who is chosen ------------------------------------------------------------------------------


def test_a_preview_counts_and_changes_nothing(world: World) -> None:
    world.issue(3)
    world.issue(2, issuer="rsa-issuing")
    seen = world.mass.preview(Selection(profile="device"))
    assert seen.total == 5
    assert seen.counts == {("sm2-issuing", "device"): 3, ("rsa-issuing", "device"): 2}
    assert [one.issuer for one in seen.first] == ["sm2-issuing"] * 3 + ["rsa-issuing"] * 2
    assert world.revoked() == set()


def test_everything_given_must_hold(world: World) -> None:
    old = world.issue(2)
    world.clock.advance(hours=1)
    since = world.clock.now()
    new = world.issue(2)
    other = world.issue(1, issuer="rsa-issuing")
    preview = world.mass.preview

    def chosen(**how) -> set[str]:
        return {to_hex(one.serial) for one in preview(Selection(**how)).first}

    assert chosen(issuer="sm2-issuing") == {*old, *new}
    assert chosen(issuer="sm2-issuing", issued_after=since) == set(new)
    assert chosen(issuer="sm2-issuing", issued_before=since - timedelta(seconds=1)) == set(old)
    assert chosen(profile="device", issued_after=since) == {*new, *other}
    assert chosen(issuer="sm2-issuing", serials=(old[0], other[0])) == {old[0]}
    assert chosen(profile="tls-server") == set()
    assert chosen(organisation="0" * 32) == set()


def test_certificates_of_cas_are_in_no_selection(world: World) -> None:
    assert world.mass.preview(Selection(issuer="sm2-root")).total == 0
    with pytest.raises(Refused, match="no certificate"):
        world.mass.propose(Selection(issuer="sm2-root"), COMPROMISED, actor="bob")


def test_what_has_expired_or_is_revoked_is_not_revoked_again(world: World) -> None:
    serial = world.issue(1)[0]
    world.issue(1)
    world.revocation.revoke("sm2-issuing", int(serial, 16), COMPROMISED, actor="bob")
    assert world.mass.preview(Selection(issuer="sm2-issuing")).total == 1
    world.clock.advance(days=3650)
    assert world.mass.preview(Selection(issuer="sm2-issuing")).total == 0


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({}, "everything is never revoked"),
        ({"serials": ("01",)}, "name it"),
        ({"issuer": "sm2-issuing", "serials": ("01",) * 5001}, "at most 5000"),
    ],
)
def test_a_selection_that_says_too_little_or_too_much_is_refused(how: dict, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        Selection(**how)


@pytest.mark.parametrize("reason", ["certificateHold", "cACompromise", "aACompromise"])
def test_reasons_that_do_not_fit_many_are_refused(world: World, reason: str) -> None:
    world.issue(1)
    with pytest.raises(Refused, match="not a reason"):
        world.mass.propose(Selection(profile="device"), RevocationReason(reason), actor="bob")


# ---- how it goes on -----------------------------------------------------------------------------


def test_all_are_revoked_in_batches_and_the_publishers_are_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(massrevocation, "BATCH", 3)
    serials = world.issue(7)
    kept = world.issue(1, issuer="rsa-issuing")
    job = world.revoke(Selection(issuer="sm2-issuing"))
    assert world.mass.get(job).expected == 7
    assert world.mass.run() == 0, "not before other processes know of a blocked key"
    assert world.work() == 7
    done = world.mass.get(job)
    assert (done.state, done.revoked, done.refused) == (MassState.DONE, 7, 0)
    assert world.revoked() == set(serials)
    assert kept[0] not in world.revoked()
    assert world.told == ["sm2-issuing"] * 3
    events = [detail for action, _, detail in world.audit.events if action == "certificate.revoked"]
    assert {detail["serial"] for detail in events} == set(serials)
    assert [detail["position"] for detail in events] == list(range(1, 8))
    assert world.audit.actions[-1] == "massrevocation.finished"
    assert world.mass.run() == 0


def test_what_is_issued_after_the_proposal_is_not_in_it(world: World) -> None:
    serials = world.issue(2)
    world.revoke(Selection(issuer="sm2-issuing"))
    world.clock.advance(seconds=1)
    world.issue(2)
    assert world.work() == 2
    assert world.revoked() == set(serials)


def test_a_batch_that_fails_leaves_nothing_and_is_done_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(massrevocation, "BATCH", 2)
    world.issue(5)
    job = world.revoke(Selection(issuer="sm2-issuing"))
    record_all, calls = world.audit.record_all, []

    def failing(events) -> None:
        calls.append(events)
        if len(calls) == 2:
            raise Unavailable("the disk is full")
        record_all(events)

    monkeypatch.setattr(world.audit, "record_all", failing)
    with pytest.raises(Unavailable):
        world.work()
    assert (world.mass.get(job).revoked, len(world.revoked())) == (2, 2)
    again = World(world.authority)  # a restart
    assert again.mass.run() == 3
    assert (again.mass.get(job).revoked, len(world.revoked())) == (5, 5)


def test_it_begins_when_another_agrees(authority: Authority) -> None:
    world = World(authority, approvals=1)
    world.issue(2)
    made = world.mass.propose(Selection(profile="device"), COMPROMISED, actor="bob")
    assert made.summary.startswith("revoke 2 certificates for keyCompromise: profile device")
    assert (made.state, world.work()) == (ProposalState.PROPOSED, 0)
    with pytest.raises(NotFound):
        world.mass.get(made.id)
    done = world.control.approve(made.id, actor=Principal("ann", Role.BUSINESS, "token"))
    assert done.outcome == f"revoking 2 certificates: see mass revocation {made.id}"
    assert world.work() == 2
    assert world.mass.get(made.id).actor == "bob"


# ---- keys ---------------------------------------------------------------------------------------


def test_a_shared_key_takes_all_its_certificates_along_and_is_never_certified_again(
    world: World,
) -> None:
    serials = [*world.issue(2, spki=SHARED), *world.issue(1, spki=SHARED, issuer="rsa-issuing")]
    world.issue(2)
    fingerprint = hashlib.sha256(SHARED).hexdigest()
    world.revoke(Selection(spki_fingerprint=fingerprint))
    assert fingerprint in world.blocked
    assert world.work() == 3
    assert world.revoked() == set(serials)
    assert sorted(set(world.told)) == ["rsa-issuing", "sm2-issuing"]


def test_a_blocked_key_is_refused_at_issue_by_every_process(world: World) -> None:
    fingerprint = hashlib.sha256(SHARED).hexdigest()
    elsewhere = World(world.authority).blocked
    issuers = world.authority.issuers
    issuers["sm2-issuing"] = replace(issuers["sm2-issuing"], blocked_keys=elsewhere)
    world.issue(1, spki=SHARED)
    assert world.blocked.block(fingerprint, reason="found in firmware", actor="bob") is True
    assert world.blocked.block(fingerprint, reason="again", actor="eve") is False
    world.clock.advance(seconds=1)
    with pytest.raises(Refused, match="blocked"):
        world.issue(1, spki=SHARED)
    assert [key.reason for _, key in world.blocked.list_keys(limit=10)] == ["found in firmware"]
    assert world.audit.actions.count("key.blocked") == 1
    with pytest.raises(Malformed):
        world.blocked.block("ABC", reason="x", actor="bob")


def test_a_configured_key_stays_blocked(authority: Authority) -> None:
    blocked = BlockedKeys(
        SQLBlockedKeyStore(authority.database),
        configured=("ab" * 32,),
        transactions=authority.database,
        audit=authority.audit,
        clock=authority.clock,
    )
    assert "ab" * 32 in blocked
    assert "cd" * 32 not in blocked


# ---- who sees them ------------------------------------------------------------------------------


class DeviceRights:
    """Lets everybody revoke devices, and nothing else."""

    def require(self, name, operation, step, *, organisation, profile) -> None:
        if profile != "device":
            raise Forbidden("not a device")

    def require_scope(self, name, operation) -> frozenset[str]:
        return frozenset({"anywhere"})


@pytest.mark.parametrize(("role", "seen"), [(Role.BUSINESS, 1), (Role.AUDIT, 2)])
def test_an_operator_sees_those_of_the_own_rights_and_an_auditor_all(
    authority: Authority, role: Role, seen: int
) -> None:
    world = World(authority)
    world.issue(1)
    ours, theirs = (
        world.revoke(Selection(issuer="sm2-issuing", profile=name)) for name in ("device", None)
    )
    app = FastAPI()
    install_problem_handlers(app)
    app.router.routes.extend(make_router(world.mass, DeviceRights()).routes)
    asker = Asker(app)
    asker.role = role
    client = TestClient(asker)
    assert len(client.get("/api/v1/mass-revocations").json()) == seen
    assert client.get(f"/api/v1/mass-revocations/{ours}").status_code == 200
    foreign = client.get(f"/api/v1/mass-revocations/{theirs}")
    assert foreign.status_code == (404 if role is Role.BUSINESS else 200)
