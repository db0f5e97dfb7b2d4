"""What the stores of the tree and of rights promise, on both databases."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from ca.operations import Operation, Review
from ca.organisations_store import Level, Organisation, OrganisationQuery
from ca.reviews_store import ReviewRule
from ca.rights_store import Grant, Right, Step
from ca.sqlorganisations import SQLOrganisationStore
from ca.sqlreviews import SQLReviewRuleStore
from ca.sqlrights import SQLRightStore
from core.db import Database
from core.errors import Conflict, Malformed
from tests.fakes.clock import FakeClock

NOW = FakeClock().now()


@pytest.fixture
def store(database: Database) -> SQLOrganisationStore:
    return SQLOrganisationStore(database)


def add(
    store: SQLOrganisationStore,
    parent: Organisation | None,
    level: Level,
    code: str | None = None,
) -> Organisation:
    above = None if parent is None else parent.id
    made = Organisation(secrets.token_hex(16), above, level, f"名 {level}", code, NOW)
    store.add_organisation(made)
    return made


def under(store: SQLOrganisationStore, top: Organisation) -> set[str]:
    return {o.id for o in store.list_organisations(OrganisationQuery(under=top.id)).items}


def test_what_is_added_is_found_below_all_that_is_above(store: SQLOrganisationStore) -> None:
    root = add(store, None, Level.PROVINCE)
    city = add(store, root, Level.CITY, "330100")
    unit = add(store, city, Level.UNIT)
    assert store.find_organisation(city.id) == city
    assert store.find_root() == root
    assert store.find_organisation("0" * 32) is None
    assert under(store, root) == {root.id, city.id, unit.id}
    assert store.list_ancestors(unit.id) == [root, city, unit]
    assert store.has_open_children(city.id)
    assert not store.has_open_children(unit.id)


def test_a_second_root_and_a_second_code_are_conflicts(store: SQLOrganisationStore) -> None:
    root = add(store, None, Level.PROVINCE)
    with pytest.raises(Conflict):
        add(store, None, Level.PROVINCE)
    add(store, root, Level.CITY, "330100")
    with pytest.raises(Conflict):
        add(store, root, Level.CITY, "330100")
    assert len(under(store, root)) == 2


def test_a_move_takes_the_subtree_along(store: SQLOrganisationStore) -> None:
    root = add(store, None, Level.PROVINCE)
    here, there = add(store, root, Level.CITY), add(store, root, Level.CITY)
    office = add(store, here, Level.DEPARTMENT)
    unit = add(store, office, Level.UNIT)
    store.update_organisation(replace(office, parent=there.id))
    assert under(store, here) == {here.id}
    assert under(store, there) == {there.id, office.id, unit.id}
    assert store.list_ancestors(unit.id)[:2] == [root, there]


def test_moves_at_the_same_time_leave_one_tree(
    database: Database, store: SQLOrganisationStore
) -> None:
    root = add(store, None, Level.PROVINCE)
    cities = [add(store, root, Level.CITY) for _ in range(4)]
    county = add(store, cities[0], Level.COUNTY)
    unit = add(store, county, Level.UNIT)

    def move(turn: int) -> None:
        with database.transaction():
            store.lock_tree()
            what = county if turn % 2 else unit
            parent = county.id if what is unit and turn % 4 else cities[turn % 4].id
            found = store.find_organisation(what.id)
            assert found is not None
            store.update_organisation(replace(found, parent=parent))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(move, range(24)))
    for organisation in (county, unit):
        climbed, at = [], organisation.id
        while at is not None:
            found = store.find_organisation(at)
            assert found is not None
            climbed.append(found.id)
            at = found.parent
        assert [o.id for o in store.list_ancestors(organisation.id)] == climbed[::-1]


def test_pages_and_filters_and_a_foreign_cursor(store: SQLOrganisationStore) -> None:
    root = add(store, None, Level.PROVINCE)
    cities = [add(store, root, Level.CITY) for _ in range(3)]
    query = OrganisationQuery(parent=root.id)
    first = store.list_organisations(query, limit=2)
    rest = store.list_organisations(query, cursor=first.next_cursor, limit=2)
    assert [o.id for o in (*first.items, *rest.items)] == [c.id for c in cities]
    assert rest.next_cursor is None
    scope = frozenset({cities[0].id, cities[1].id})
    assert len(store.list_organisations(OrganisationQuery(scope=scope)).items) == 2
    assert store.list_organisations(OrganisationQuery(scope=frozenset())).items == ()
    assert store.list_organisations(OrganisationQuery(text="%")).items == ()
    with pytest.raises(Malformed, match="cursor"):
        store.list_organisations(query, cursor="x")


def test_rights_are_found_from_every_place_below(
    database: Database, store: SQLOrganisationStore
) -> None:
    rights = SQLRightStore(database)
    root = add(store, None, Level.PROVINCE)
    city = add(store, root, Level.CITY)
    unit = add(store, city, Level.UNIT)
    other = add(store, root, Level.CITY)
    limited = Grant(frozenset({"b", "a"}), frozenset({Operation.APPLY}), frozenset({Step.ENTRY}))
    everything = Grant(None, None, frozenset(Step))
    for operator, place, grant in (("wang", city, limited), ("alice", root, everything)):
        rights.add_right(Right(secrets.token_hex(16), operator, place.id, grant, "system", NOW))
    (held,) = rights.list_held("wang", unit.id)
    assert (held.organisation, held.grant, held.is_root) == (city.id, limited, False)
    assert held.organisation_name == unit.name
    assert rights.list_held("wang", other.id) == rights.list_held("wang", None) == []
    (whole,) = rights.list_held("alice", None)
    assert (whole.grant, whole.is_root) == (everything, True)
    assert [h.organisation for h in rights.list_of("wang")] == [city.id]
    for related in (root, city, unit):
        assert len(rights.list_related("wang", related.id)) == 1
    assert rights.list_related("wang", other.id) == []
    assert rights.has_root_manager()
    (found,) = rights.list_rights(
        operator=None, scope=frozenset({city.id}), cursor=None, limit=1
    ).items
    assert (found.operator, rights.find_right(found.id)) == ("wang", found)
    page = rights.list_rights(operator=None, scope=None, cursor=None, limit=1)
    assert page.next_cursor is not None
    rights.remove_right(found.id)
    assert rights.find_right(found.id) is None


def test_the_most_specific_review_rule_is_found(
    database: Database, store: SQLOrganisationStore
) -> None:
    rules = SQLReviewRuleStore(database)
    root = add(store, None, Level.PROVINCE)
    city = add(store, root, Level.CITY)
    unit = add(store, city, Level.UNIT)

    def put(profile: str | None, place: Organisation, review: Review) -> ReviewRule:
        rule = ReviewRule(
            secrets.token_hex(16), Operation.APPLY, profile, place.id, review, "alice", NOW
        )
        rules.put_rule(rule)
        return rule

    def found(place: Organisation | None) -> ReviewRule | None:
        return rules.find_bearing(Operation.APPLY, "device", None if place is None else place.id)

    assert found(unit) is None
    everywhere = put(None, root, Review(review=True))
    device = put("device", root, Review(review=True, make=True))
    assert found(None) == found(unit) == device
    here = put(None, city, Review(review=False))
    assert found(unit) == found(city) == here
    assert found(root) == device
    assert rules.find_bearing(Operation.REVOKE, "device", unit.id) is None
    again = put(None, city, Review(review=True))
    assert found(unit) == again
    assert rules.list_rules(scope=None, limit=9) == [everywhere, device, again]
    assert rules.list_rules(scope=frozenset({city.id}), limit=9) == [again]
    rules.remove_rule(again.id)
    assert rules.find_rule(again.id) is None
    assert found(unit) == device
