from __future__ import annotations

import pytest

from ca.operations import Operation
from ca.rights_store import Grant, Step
from core.db import Database
from core.errors import Conflict, Forbidden, NotFound, Refused
from tests.fakes.audit import MemoryAuditLog
from tests.fakes.clock import FakeClock
from tests.unit.ca.registration import Registration


@pytest.fixture
def registration(
    sqlite_database: Database, audit: MemoryAuditLog, clock: FakeClock
) -> Registration:
    return Registration(sqlite_database, audit, clock)


def words(*steps: str, profiles=("device",), operations=("apply", "query", "revoke")) -> Grant:
    return Grant(
        None if profiles is None else frozenset(profiles),
        None if operations is None else frozenset(map(Operation, operations)),
        frozenset(map(Step, steps)),
    )


def give(registration: Registration, operator: str, organisation, grant: Grant, actor="alice"):
    return registration.rights.grant(operator, organisation.id, grant, actor=actor)


def may(registration: Registration, name: str, organisation, **changes) -> None:
    act = {"operation": Operation.APPLY, "step": Step.ENTRY, "profile": "device"} | changes
    registration.rights.require(
        name, organisation=None if organisation is None else organisation.id, **act
    )


def test_a_right_holds_for_its_subtree_and_nowhere_else(registration: Registration) -> None:
    give(registration, "wang", registration.hangzhou, words("entry"))
    may(registration, "wang", registration.hangzhou)
    may(registration, "wang", registration.finance)
    with pytest.raises(
        Forbidden, match="wang lacks the right: apply, step entry, profile device in 某省 / 宁波市"
    ):
        may(registration, "wang", registration.ningbo)
    for above in (registration.root, None):
        with pytest.raises(Forbidden):
            may(registration, "wang", above)


@pytest.mark.parametrize(
    "changes",
    [{"operation": Operation.FREEZE}, {"step": Step.REVIEW}, {"profile": "smime"}],
)
def test_what_was_not_given_is_missing(registration: Registration, changes) -> None:
    give(registration, "wang", registration.hangzhou, words("entry"))
    with pytest.raises(Forbidden, match=str(next(iter(changes.values())))):
        may(registration, "wang", registration.hangzhou, **changes)


def test_two_rights_do_not_add_up_to_a_third(registration: Registration) -> None:
    give(registration, "wang", registration.hangzhou, words("entry", operations=("apply",)))
    give(registration, "wang", registration.ningbo, words("entry", operations=("revoke",)))
    with pytest.raises(Forbidden):
        may(registration, "wang", registration.hangzhou, operation=Operation.REVOKE)


def test_a_right_moves_with_the_organisation(registration: Registration) -> None:
    give(registration, "wang", registration.hangzhou, words("entry"))
    registration.organisations.move(registration.finance.id, registration.ningbo.id, actor="a")
    with pytest.raises(Forbidden):
        may(registration, "wang", registration.finance)


def test_who_sees_what(registration: Registration) -> None:
    rights = registration.rights
    give(registration, "wang", registration.hangzhou, words("entry"))
    give(registration, "li", registration.ningbo, words("entry", operations=("apply",)))
    assert rights.scope("alice") is None
    assert rights.scope("wang") == {registration.hangzhou.id}
    assert rights.scope("li") == rights.scope("nobody") == frozenset()
    with pytest.raises(Forbidden, match="li has no right to query"):
        rights.require_scope("li")


def test_who_does_not_say_where_acts_in_the_only_place(registration: Registration) -> None:
    def place(name: str, organisation: str | None = None) -> str | None:
        return registration.rights.place(
            name, Operation.APPLY, Step.ENTRY, organisation=organisation, profile="device"
        )

    assert place("alice") is None
    assert place("alice", registration.finance.id) == registration.finance.id
    with pytest.raises(Forbidden, match="lacks the right: apply"):
        place("wang")
    give(registration, "wang", registration.hangzhou, words("entry"))
    give(registration, "wang", registration.ningbo, words("entry", profiles=("smime",)))
    assert place("wang") == registration.hangzhou.id
    with pytest.raises(Forbidden, match="宁波市"):
        place("wang", registration.ningbo.id)
    give(registration, "wang", registration.ningbo, words("entry"))
    with pytest.raises(Refused, match="several organisations"):
        place("wang")


def test_the_only_place_is_refused_when_it_is_closed(registration: Registration) -> None:
    give(registration, "wang", registration.finance, words("entry"))
    registration.organisations.close(registration.finance.id, actor="alice")
    with pytest.raises(Refused, match="财政局 was closed"):
        registration.rights.place(
            "wang", Operation.APPLY, Step.ENTRY, organisation=None, profile="device"
        )


# ---- giving --------------------------------------------------------------------------------------


def test_nobody_gives_more_than_they_hold(registration: Registration) -> None:
    manager = words("entry", operations=("apply", "query", "rights"))
    give(registration, "wang", registration.hangzhou, manager)
    give(registration, "li", registration.finance, words("entry", operations=("apply",)), "wang")
    for place, grant in (
        (registration.ningbo, words("entry")),
        (registration.root, words("entry", operations=("apply",))),
        (registration.finance, words("entry", operations=("apply", "revoke"))),
        (registration.finance, words("entry", operations=None)),
        (registration.finance, words("entry", operations=("apply",), profiles=("smime",))),
        (registration.finance, words("entry", operations=("apply",), profiles=None)),
    ):
        with pytest.raises(Forbidden, match="wang does not hold the right `rights`"):
            give(registration, "li", place, grant, "wang")
    with pytest.raises(Forbidden, match="li does not hold"):
        give(registration, "zhao", registration.finance, words(), "li")


def test_without_separation_steps_are_part_of_what_is_held(
    sqlite_database: Database, audit: MemoryAuditLog, clock: FakeClock
) -> None:
    registration = Registration(sqlite_database, audit, clock, separate_steps=False)
    give(registration, "wang", registration.hangzhou, words("entry", operations=("rights",)))
    with pytest.raises(Forbidden):
        give(registration, "li", registration.finance, words("review", operations=("rights",)),
             "wang")  # fmt: skip
    give(registration, "li", registration.finance, words("entry", "review", "make"))


def test_nobody_gives_to_themselves_or_to_who_is_no_operator(registration: Registration) -> None:
    with pytest.raises(Forbidden, match="themselves"):
        give(registration, "alice", registration.hangzhou, words("entry"))
    with pytest.raises(NotFound, match="no business administrator 'nobody'"):
        give(registration, "nobody", registration.hangzhou, words("entry"))


@pytest.mark.parametrize(
    ("first", "second"), [("entry", "review"), ("review", "entry"), ("review", "make")]
)
def test_one_operator_does_not_hold_two_neighbouring_steps(
    registration: Registration, first: str, second: str
) -> None:
    with pytest.raises(Conflict, match="separate_steps"):
        give(registration, "wang", registration.hangzhou, words(first, second))
    give(registration, "wang", registration.hangzhou, words(first))
    for place in (registration.root, registration.hangzhou, registration.finance):
        with pytest.raises(Conflict, match="separate_steps"):
            give(registration, "wang", place, words(second))
        with pytest.raises(Conflict, match="separate_steps"):
            give(registration, "wang", place, words(second, profiles=None))
    give(registration, "wang", registration.finance, words(second, profiles=("smime",)))
    give(registration, "wang", registration.ningbo, words(second))


def test_entry_and_make_may_be_one_hand(registration: Registration) -> None:
    give(registration, "wang", registration.hangzhou, words("entry", "make"))


def test_a_right_is_taken_away_by_who_could_give_it(
    registration: Registration, audit: MemoryAuditLog
) -> None:
    rights = registration.rights
    made = give(registration, "wang", registration.hangzhou, words("entry"))
    with pytest.raises(Forbidden):
        rights.revoke(made.id, actor="wang")
    may(registration, "wang", registration.hangzhou)
    rights.revoke(made.id, actor="alice")
    with pytest.raises(Forbidden):
        may(registration, "wang", registration.hangzhou)
    with pytest.raises(NotFound):
        rights.revoke(made.id, actor="alice")
    assert audit.events[-1] == (
        "right.revoked",
        "alice",
        {"right": made.id, "operator": "wang", "organisation": registration.hangzhou.id},
    )


def test_the_last_manager_of_the_whole_tree_stays(registration: Registration) -> None:
    rights = registration.rights
    (first,) = rights.list_rights(operator="alice", scope=None).items
    with pytest.raises(Conflict, match="alice is the last who manages rights"):
        rights.revoke(first.id, actor="alice")
    may(registration, "alice", registration.root)
    rights.give_everything("wang", actor="local:root")
    rights.revoke(first.id, actor="wang")
    with pytest.raises(Forbidden):
        may(registration, "alice", registration.root)


def test_a_closed_organisation_gets_no_certificate_and_its_old_ones_can_be_revoked(
    registration: Registration,
) -> None:
    registration.organisations.close(registration.finance.id, actor="alice")
    with pytest.raises(Refused, match="财政局 was closed on 2026-11-22"):
        may(registration, "alice", registration.finance)
    may(registration, "alice", registration.finance, operation=Operation.REVOKE)
    with pytest.raises(Refused, match="closed"):
        give(registration, "wang", registration.finance, words("entry"))
