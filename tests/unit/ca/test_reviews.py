from __future__ import annotations

import pytest

from ca.operations import Operation, Review
from ca.profiles import load_profiles
from ca.reviews import Reviews
from ca.rights_store import Grant
from core.db import Database
from core.errors import Forbidden, Malformed, NotFound
from tests.fakes.audit import MemoryAuditLog
from tests.fakes.clock import FakeClock
from tests.unit.ca.registration import Registration

PROFILES = load_profiles()
YES, NO, MADE = Review(review=True), Review(review=False), Review(review=True, make=True)
APPLY, REVOKE = Operation.APPLY, Operation.REVOKE


@pytest.fixture
def registration(
    sqlite_database: Database, audit: MemoryAuditLog, clock: FakeClock
) -> Registration:
    return Registration(sqlite_database, audit, clock)


@pytest.fixture
def reviews(registration: Registration) -> Reviews:
    return registration.reviews(PROFILES)


def test_without_a_rule_the_profile_says(reviews: Reviews, registration: Registration) -> None:
    assert PROFILES["device"].needs_approval
    for place in (None, registration.finance.id):
        assert reviews.needed(APPLY, "device", place) == YES
        assert reviews.needed(REVOKE, "device", place) == NO


def test_the_nearest_organisation_wins_and_there_the_profile(
    reviews: Reviews, registration: Registration
) -> None:
    def put(profile: str | None, place, review: Review) -> None:
        reviews.set_rule(APPLY, profile, place.id, review, actor="alice")

    def needed(place) -> tuple[Review, Review]:
        where = None if place is None else place.id
        return reviews.needed(APPLY, "device", where), reviews.needed(APPLY, "smime", where)

    put(None, registration.root, NO)
    assert needed(None) == needed(registration.finance) == (NO, NO)
    put("device", registration.root, MADE)
    assert needed(registration.ningbo) == (MADE, NO)
    put(None, registration.hangzhou, YES)
    assert needed(registration.finance) == (YES, YES)
    assert needed(registration.ningbo) == (MADE, NO)
    put("device", registration.hangzhou, NO)
    assert needed(registration.finance) == (NO, YES)
    put("device", registration.hangzhou, MADE)
    assert needed(registration.finance) == (MADE, YES)
    assert len(reviews.list_rules(scope=frozenset({registration.hangzhou.id}))) == 2


def test_removing_a_rule_lets_the_one_above_hold(
    reviews: Reviews, registration: Registration, audit: MemoryAuditLog
) -> None:
    rule = reviews.set_rule(REVOKE, None, registration.hangzhou.id, YES, actor="alice")
    assert reviews.needed(REVOKE, "device", registration.finance.id) == YES
    reviews.remove_rule(rule.id, actor="alice")
    assert reviews.needed(REVOKE, "device", registration.finance.id) == NO
    with pytest.raises(NotFound):
        reviews.remove_rule(rule.id, actor="alice")
    assert audit.actions[-2:] == ["rule.set", "rule.removed"]


def test_a_branch_asks_for_more_steps_and_not_for_fewer(
    reviews: Reviews, registration: Registration, audit: MemoryAuditLog
) -> None:
    registration.rights.grant(
        "wang",
        registration.hangzhou.id,
        Grant(None, frozenset({Operation.RIGHTS}), frozenset()),
        actor="alice",
    )
    here = registration.hangzhou.id
    rule = reviews.set_rule(REVOKE, None, here, YES, actor="wang")
    reviews.set_rule(APPLY, "device", here, MADE, actor="wang")
    events = len(audit.events)
    for act in (
        lambda: reviews.set_rule(APPLY, "smime", here, NO, actor="wang"),
        lambda: reviews.set_rule(APPLY, None, here, NO, actor="wang"),
        lambda: reviews.set_rule(APPLY, "device", here, YES, actor="wang"),
        lambda: reviews.remove_rule(rule.id, actor="wang"),
        lambda: reviews.set_rule(REVOKE, None, registration.ningbo.id, YES, actor="wang"),
    ):
        with pytest.raises(Forbidden, match="wang lacks the right: rights"):
            act()
    assert len(audit.events) == events
    assert reviews.needed(APPLY, "smime", here) == YES
    assert reviews.needed(APPLY, "device", here) == MADE
    assert reviews.needed(REVOKE, "device", here) == YES


def test_what_makes_no_sense_is_refused(reviews: Reviews, registration: Registration) -> None:
    root = registration.root.id
    with pytest.raises(Malformed, match="query is never reviewed"):
        reviews.set_rule(Operation.QUERY, None, root, YES, actor="alice")
    with pytest.raises(Malformed, match="no make step"):
        reviews.set_rule(REVOKE, None, root, MADE, actor="alice")
    with pytest.raises(NotFound, match="no profile"):
        reviews.set_rule(APPLY, "nothing", root, YES, actor="alice")
    with pytest.raises(NotFound, match="no organisation"):
        reviews.set_rule(APPLY, None, "0" * 32, YES, actor="alice")
