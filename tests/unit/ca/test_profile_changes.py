"""Profiles that are decided while the service runs: agreed to, validated, in force everywhere."""

from __future__ import annotations

from importlib import resources

import pytest

from ca.liveprofiles import LiveProfiles
from ca.profilechanges import ProfileChanges
from ca.profiles import load_profiles
from ca.sqlprofiles import SQLProfileStore
from core.config import ActRule, ControlConfig
from core.control import DualControl
from core.control_sql import SQLProposalStore
from core.control_store import ProposalState
from core.db import Database
from core.errors import Conflict, Malformed, Refused
from core.identity import Principal, Role
from tests.fakes.audit import MemoryAuditLog
from tests.fakes.clock import FakeClock

FILES = load_profiles()
ANN = Principal("ann", Role.BUSINESS, "token")


def text(name: str, *changes: tuple[str, str]) -> str:
    found = resources.files("ca").joinpath(f"profile_data/{name}.toml").read_text("utf-8")
    for old, new in changes:
        assert old in found
        found = found.replace(old, new)
    return found


SHORTER = text("device", ("\nvalidity_days = 730", "\nvalidity_days = 365"))


class Process:
    """One process of the service on the database."""

    def __init__(
        self, database: Database, clock: FakeClock, audit: MemoryAuditLog, approvals: int
    ) -> None:
        store = SQLProfileStore(database)
        self.profiles = LiveProfiles(FILES, store, clock=clock)
        self.control = DualControl(
            SQLProposalStore(database),
            config=ControlConfig(profile_change=ActRule(approvals=approvals)),
            transactions=database,
            audit=audit,
            clock=clock,
        )
        self.changes = ProfileChanges(
            self.profiles, store, control=self.control, audit=audit, clock=clock
        )

    def days(self) -> int:
        return self.profiles["device"].validity_days


@pytest.fixture
def one(database: Database, clock: FakeClock, audit: MemoryAuditLog) -> Process:
    return Process(database, clock, audit, 1)


@pytest.fixture
def other(database: Database, clock: FakeClock, audit: MemoryAuditLog) -> Process:
    return Process(database, clock, audit, 1)


def test_a_profile_is_in_force_everywhere_when_another_agrees(
    one: Process, other: Process, clock: FakeClock, audit: MemoryAuditLog
) -> None:
    before = one.days()
    made = one.changes.propose([SHORTER], actor="sun")
    assert made.summary.splitlines() == [
        "change device",
        f"- device.validity_days = {before}",
        "+ device.validity_days = 365",
    ]
    assert (one.days(), other.days()) == (before, before)
    assert other.control.approve(made.id, actor=ANN).state is ProposalState.EXECUTED
    clock.advance(seconds=1)
    assert (one.days(), other.days()) == (365, 365)
    assert len(one.profiles) == len(FILES)
    assert set(one.profiles) == set(FILES)
    assert [version.text for version in one.changes.list_versions("device")] == [SHORTER]
    assert ("profile.changed", "sun", {"profile": "device", "proposal": made.id}) in audit.events


def test_a_new_profile_is_shown_whole(one: Process) -> None:
    made = one.changes.propose(
        [text("device", ('name = "device"', 'name = "gateway"'))], actor="sun"
    )
    assert "  new profile gateway" in made.summary.splitlines()
    assert '+ gateway.name = "gateway"' in made.summary.splitlines()


def test_without_approvals_it_is_in_force_at_once(
    database: Database, clock: FakeClock, audit: MemoryAuditLog
) -> None:
    alone = Process(database, clock, audit, 0)
    assert alone.changes.propose([SHORTER], actor="sun").state is ProposalState.EXECUTED
    assert alone.days() == 365
    with pytest.raises(Conflict, match="in force already"):
        alone.changes.propose([SHORTER], actor="sun")


def test_what_was_seen_is_what_is_agreed_to(one: Process, clock: FakeClock) -> None:
    """Two proposals for one profile: the second one's differences were against the first state."""
    first = one.changes.propose([SHORTER], actor="sun")
    second = one.changes.propose(
        [text("device", ("\nvalidity_days = 730", "\nvalidity_days = 30"))], actor="sun"
    )
    assert one.control.approve(first.id, actor=ANN).state is ProposalState.EXECUTED
    failed = one.control.approve(second.id, actor=ANN)
    assert failed.state is ProposalState.FAILED
    assert "propose again" in str(failed.outcome)
    clock.advance(seconds=1)
    assert one.days() == 365


@pytest.mark.parametrize(
    ("texts", "error", "why"),
    [
        (["this is = not ] TOML"], Refused, "not TOML"),
        (["name = 'x'"], Refused, "Field required"),
        ([SHORTER, SHORTER], Refused, "twice"),
        ([text("device-dual-signing", ("device-dual-encryption", "nowhere"))], Refused, "no prof"),
        ([text("device", ('"digitalSignature"', '"keyCertSign"'))], Refused, "authorities"),
        ([], Malformed, "1 to 10"),
        (["x" * 20_001], Malformed, "20000"),
    ],
)
def test_what_the_service_could_not_start_with_is_refused(
    one: Process, texts: list[str], error: type[Exception], why: str
) -> None:
    with pytest.raises(error, match=why):
        one.changes.propose(texts, actor="sun")
    assert one.control.list_proposals() == []


def test_both_halves_of_a_pair_change_together(one: Process) -> None:
    optional = 'optional = ["C", '
    halves = [
        text(f"device-dual-{half}", (optional, optional + '"DC", '))
        for half in ("signing", "encryption")
    ]
    with pytest.raises(Refused, match="differs in subject"):
        one.changes.propose(halves[:1], actor="sun")
    assert one.changes.propose(halves, actor="sun").state is ProposalState.PROPOSED
