from __future__ import annotations

import pytest

from ca.organisations_store import ChangeKind, Level, OrganisationQuery
from core.db import Database
from core.errors import AuditUnavailable, Conflict, Malformed, NotFound
from tests.fakes.audit import MemoryAuditLog
from tests.fakes.clock import FakeClock
from tests.unit.ca.registration import Registration


@pytest.fixture
def registration(
    sqlite_database: Database, audit: MemoryAuditLog, clock: FakeClock
) -> Registration:
    return Registration(sqlite_database, audit, clock)


def names(registration: Registration, **query) -> list[str]:
    page = registration.organisations.list_organisations(OrganisationQuery(**query))
    return [organisation.name for organisation in page.items]


def test_levels_may_be_skipped_downwards_and_never_inverted(registration: Registration) -> None:
    unit = registration.add(registration.root.id, "unit", "办公室")
    assert unit.level is Level.UNIT
    for level in ("unit", "county", "department"):
        with pytest.raises(Conflict, match="cannot stand under 办公室, which is a unit"):
            registration.add(unit.id, level, "x")
    with pytest.raises(Conflict, match="order is province > city"):
        registration.add(registration.hangzhou.id, "city", "x")


def test_a_subtree_moves_whole_and_its_history_says_from_where(
    registration: Registration, audit: MemoryAuditLog, clock: FakeClock
) -> None:
    tree = registration.organisations
    office = registration.add(registration.finance.id, "unit", "国库处")
    tree.move(registration.finance.id, registration.ningbo.id, actor="alice")
    assert names(registration, under=registration.ningbo.id) == ["财政局", "宁波市", "国库处"]
    assert names(registration, under=registration.hangzhou.id) == ["杭州市"]
    assert [above.name for above in tree.path(office.id)] == [
        "某省", "宁波市", "财政局", "国库处",
    ]  # fmt: skip
    created, moved = tree.history(registration.finance.id)
    assert (created.kind, created.after) == (ChangeKind.CREATED, "财政局")
    assert (moved.before, moved.after) == (registration.hangzhou.id, registration.ningbo.id)
    assert (moved.at, moved.actor) == (clock.now(), "alice")
    assert audit.actions[-1] == "organisation.moved"


def test_nothing_can_stand_above_itself(registration: Registration) -> None:
    tree = registration.organisations
    with pytest.raises(Conflict, match="above itself"):
        tree.move(registration.hangzhou.id, registration.finance.id, actor="alice")
    with pytest.raises(Conflict, match="above itself"):
        tree.move(registration.hangzhou.id, registration.hangzhou.id, actor="alice")
    with pytest.raises(Conflict, match="root"):
        tree.move(registration.root.id, registration.ningbo.id, actor="alice")


def test_a_rename_keeps_the_old_name_and_doing_it_twice_is_one_change(
    registration: Registration,
) -> None:
    tree = registration.organisations
    for _ in range(2):
        tree.rename(registration.finance.id, " 财政厅 ", actor="alice")
    assert tree.get(registration.finance.id).name == "财政厅"
    (_, renamed) = tree.history(registration.finance.id)
    assert (renamed.before, renamed.after) == ("财政局", "财政厅")


def test_a_closed_organisation_takes_nothing_new(registration: Registration) -> None:
    tree = registration.organisations
    with pytest.raises(Conflict, match="open organisations below"):
        tree.close(registration.hangzhou.id, actor="alice")
    with pytest.raises(Conflict, match="root"):
        tree.close(registration.root.id, actor="alice")
    tree.close(registration.finance.id, actor="alice")
    for act in (
        lambda: registration.add(registration.finance.id, "unit", "x"),
        lambda: tree.rename(registration.finance.id, "x", actor="alice"),
        lambda: tree.move(registration.finance.id, registration.ningbo.id, actor="alice"),
        lambda: tree.close(registration.finance.id, actor="alice"),
    ):
        with pytest.raises(Conflict, match="财政局 was closed on 2026-11-22"):
            act()
    tree.close(registration.hangzhou.id, actor="alice")


def test_a_code_belongs_to_one_organisation(registration: Registration) -> None:
    made = registration.add(registration.root.id, "department", "甲", code="914403001922038216")
    assert names(registration, text="914403001922038216") == ["甲"]
    with pytest.raises(Conflict, match="code"):
        registration.add(registration.root.id, "department", "乙", code=made.code)
    with pytest.raises(Malformed, match="check digit"):
        registration.add(registration.root.id, "department", "乙", code="914403001922038217")


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, "a\nb"])
def test_a_name_that_is_none_is_refused(registration: Registration, name: str) -> None:
    with pytest.raises(Malformed, match="1 to 200 printable"):
        registration.add(registration.root.id, "city", name)


def test_an_unknown_organisation_is_not_found_and_a_bad_id_malformed(
    registration: Registration,
) -> None:
    with pytest.raises(NotFound):
        registration.add("0" * 32, "city", "x")
    with pytest.raises(Malformed, match="32 hex"):
        registration.organisations.get("x")


def test_without_its_audit_event_nothing_changes(
    registration: Registration, audit: MemoryAuditLog
) -> None:
    tree = registration.organisations
    audit.broken = True
    with pytest.raises(AuditUnavailable):
        tree.move(registration.finance.id, registration.ningbo.id, actor="alice")
    assert tree.get(registration.finance.id).parent == registration.hangzhou.id
    assert len(tree.history(registration.finance.id)) == 1
