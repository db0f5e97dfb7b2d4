"""What every store of registration authorities and of their desks must do, on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

import yinxin.schema  # noqa: F401 - every table, before a database is made
from ca.desk_store import DeskQuery, DeskRecord, DeskState
from ca.operations import Operation
from ca.organisations_store import Level, Organisation
from ca.registrars import Registrar
from ca.sqldesk import SQLDeskStore
from ca.sqlorganisations import SQLOrganisationStore
from ca.sqlregistrars import SQLRegistrarStore
from core.db import Database
from core.errors import Conflict, Malformed
from tests.fakes.clock import FakeClock

TOP = "a" * 32


@pytest.fixture
def registrars(database: Database, clock: FakeClock) -> SQLRegistrarStore:
    SQLOrganisationStore(database).add_organisation(
        Organisation(TOP, None, Level.PROVINCE, "某省", None, clock.now())
    )
    return SQLRegistrarStore(database)


@pytest.fixture
def desk(registrars: SQLRegistrarStore, database: Database) -> SQLDeskStore:
    return SQLDeskStore(database)


def act(number: int, clock: FakeClock, **changes) -> DeskRecord:
    record = DeskRecord(
        id=f"{number:032x}",
        state=DeskState.PENDING,
        operation=Operation.APPLY,
        profile="device",
        organisation_id=None,
        body="{}",
        requester="wang",
        created_at=clock.now(),
    )
    return replace(record, **changes)


def test_a_registrar_is_found_by_its_key_and_only_once(
    registrars: SQLRegistrarStore, clock: FakeClock
) -> None:
    one = Registrar("one", "1" * 64, TOP, "https://ra.test:8444", clock.now())
    registrars.add_registrar(one)
    for other in (
        replace(one, key="2" * 64),
        replace(one, name="two"),
        replace(one, name="two", key="2" * 64, organisation="b" * 32),
    ):
        with pytest.raises(Conflict):
            registrars.add_registrar(other)
    assert registrars.find_by_key("1" * 64) == one
    assert registrars.find_by_key("2" * 64) is None
    assert registrars.list_registrars() == [one]
    assert registrars.remove_registrar("one")
    assert not registrars.remove_registrar("one")


def test_of_many_at_once_one_does_an_act(registrars: SQLRegistrarStore) -> None:
    def do(_: int) -> bool:
        try:
            registrars.add_done("one", "f" * 32, "0" * 64)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(do, range(8))) == 1
    assert registrars.find_done("one", "f" * 32) == "0" * 64
    assert registrars.find_done("two", "f" * 32) is None


def test_of_many_at_once_one_changes_an_act(desk: SQLDeskStore, clock: FakeClock) -> None:
    desk.add(act(1, clock))

    def change(number: int) -> bool:
        values = {"state": DeskState.SENT, "decided_by": str(number), "decided_at": clock.now()}
        return desk.change(f"{1:032x}", DeskState.PENDING, values)

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(change, range(8))) == 1
    assert desk.find(f"{1:032x}").state is DeskState.SENT


def test_an_id_is_used_once(desk: SQLDeskStore, clock: FakeClock) -> None:
    desk.add(act(1, clock))
    with pytest.raises(Conflict):
        desk.add(act(1, clock))
    assert desk.find("0" * 32) is None


def test_the_outbox_is_in_turn(desk: SQLDeskStore, clock: FakeClock) -> None:
    later = clock.now()
    sent = {"state": DeskState.SENT, "decided_by": "li"}
    desk.add(act(1, clock, **sent, answered_at=later))
    desk.add(act(2, clock, **sent))
    desk.add(act(3, clock))
    for number, operation in ((4, Operation.FREEZE), (5, Operation.UNFREEZE)):
        answered = later if number == 4 else None
        desk.add(act(number, clock, **sent, operation=operation, answered_at=answered))
    assert [int(record.id, 16) for record in desk.list_sent(limit=9)] == [4, 5, 2, 1]
    assert len(desk.list_sent(limit=2)) == 2


def test_pages_are_of_a_scope_newest_first(desk: SQLDeskStore, clock: FakeClock) -> None:
    for number in range(5):
        desk.add(act(number, clock, organisation_id=TOP if number % 2 else None))
    first = desk.list_acts(DeskQuery(), scope=None, cursor=None, limit=3)
    assert [int(record.id, 16) for record in first.items] == [4, 3, 2]
    rest = desk.list_acts(DeskQuery(), scope=None, cursor=first.next_cursor, limit=3)
    assert ([int(record.id, 16) for record in rest.items], rest.next_cursor) == ([1, 0], None)
    own = desk.list_acts(
        DeskQuery(state=DeskState.PENDING), scope=frozenset({TOP}), cursor=None, limit=9
    )
    assert [int(record.id, 16) for record in own.items] == [3, 1]
    assert desk.list_acts(DeskQuery(), scope=frozenset(), cursor=None, limit=9).items == ()
    with pytest.raises(Malformed):
        desk.list_acts(DeskQuery(), scope=None, cursor="x", limit=9)


def test_what_gave_a_certificate_is_found(desk: SQLDeskStore, clock: FakeClock) -> None:
    given = {"issuer": "sm2-issuing", "serial": "0" * 39 + "1"}
    desk.add(act(1, clock, **given))
    desk.add(act(2, clock, **given, operation=Operation.FREEZE))
    assert desk.find_given("sm2-issuing", "0" * 39 + "1").id == f"{1:032x}"
    assert desk.find_given("sm2-issuing", "0" * 40) is None


def test_what_was_given_to_a_subject_counts_until_it_ends_or_is_revoked(
    desk: SQLDeskStore, clock: FakeClock
) -> None:
    later = clock.now() + timedelta(days=1)
    for number in range(3):
        given = {"subject": f"CN={number}", "not_after": later, "issuer": "x"}
        desk.add(act(number, clock, state=DeskState.DONE, serial=f"0{number}", **given))
    revoked = {"operation": Operation.REVOKE, "body": "superseded", "issuer": "x", "serial": "01"}
    desk.add(act(3, clock, state=DeskState.DONE, **revoked))
    desk.add(act(4, clock, state=DeskState.SENT, **(revoked | {"serial": "02"})))
    subjects = [f"CN={number}" for number in range(4)]
    found = desk.list_live("device", subjects, now=clock.now())
    assert {one.subject for one in found} == {"CN=0", "CN=2"}
    assert desk.list_live("smime", subjects, now=clock.now()) == []
    assert desk.list_live("device", subjects, now=later) == []
    ids = [f"{number:032x}" for number in (1, 3, 9)]
    assert set(desk.find_all(ids)) == set(ids[:2])
