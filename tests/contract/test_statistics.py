"""What statistics count, on both databases."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import delete, insert, select, update

from ca.organisations_store import Level, Organisation
from ca.sqlcheckcounts import astray
from ca.sqlkeptcounts import Counted, SQLCounts
from ca.sqlorganisations import SQLOrganisationStore
from ca.sqloverview import SQLOverviews
from ca.sqlstatistics import SQLStatistics
from ca.statistics import Measure, Month, StatisticsQuery
from ca.tables import certificates
from ca.tables_counts import certificate_count_changes, certificate_counts
from core.db import Database

NOW = datetime(2026, 11, 22, tzinfo=UTC)
FOUNDED = datetime(2020, 1, 1, tzinfo=UTC)
LATE = datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC)


@pytest.fixture
def tree(database: Database) -> dict[str, str]:
    """Province > 杭州 > 财政局, and province > 宁波; ids by name."""
    store = SQLOrganisationStore(database)
    ids: dict[str, str] = {}
    for name, parent, level in (
        ("某省", None, Level.PROVINCE),
        ("杭州", "某省", Level.CITY),
        ("财政局", "杭州", Level.DEPARTMENT),
        ("宁波", "某省", Level.CITY),
    ):
        ids[name] = secrets.token_hex(16)
        above = None if parent is None else ids[parent]
        store.add_organisation(Organisation(ids[name], above, level, name, None, NOW))
    return ids


@pytest.fixture(params=["noted", "kept"])
def kept(request: pytest.FixtureRequest, database: Database) -> Callable[[], None]:
    """Counts are the same before changes are added up and after."""
    counts = SQLCounts(database, SQLOrganisationStore(database).lock_tree)
    return counts.keep if request.param == "kept" else lambda: None


@pytest.fixture
def counted(database: Database, tree: dict[str, str], kept: Callable[[], None]) -> dict[str, str]:
    """Seven certificates: of 财政局 two, 杭州 one, 宁波 two, the root one, nobody one."""
    for place, profile, state, issued, ends in (
        ("财政局", "device", "issued", NOW, datetime(2027, 1, 31, tzinfo=UTC)),
        ("财政局", "device", "issued", LATE, datetime(2026, 11, 1, tzinfo=UTC)),
        ("杭州", "smime", "held", NOW, datetime(2027, 1, 1, tzinfo=UTC)),
        ("宁波", "device", "revoked", LATE, datetime(2027, 1, 1, tzinfo=UTC)),
        ("宁波", "device", "failed", None, datetime(2027, 1, 1, tzinfo=UTC)),
        ("某省", "device", "issued", NOW, datetime(2029, 1, 1, tzinfo=UTC)),
        (
            None,
            "root",
            "issued",
            datetime(2020, 1, 1, tzinfo=UTC),
            datetime(2046, 1, 1, tzinfo=UTC),
        ),
    ):
        ended = state in ("held", "revoked")
        with database.transaction() as connection:
            connection.execute(
                insert(certificates).values(
                    issuer="a", serial=secrets.token_hex(20), state=state, profile=profile,
                    subject="CN=x", not_before=LATE, not_after=ends, tbs=b"", requester="alice",
                    spki_fingerprint="0" * 64, reserved_at=LATE, issued_at=issued,
                    organisation_id=None if place is None else tree[place],
                    revoked_at=NOW if ended else None, reason="superseded" if ended else None,
                )
            )  # fmt: skip
    kept()
    return tree


def lines(database: Database, organisation: str, measure: Measure, **more) -> set[tuple]:
    query = StatisticsQuery(organisation, Month(2026, 10), Month(2027, 1), **more)
    return {
        (line.name, line.profile, line.state or line.month, line.count)
        for line in SQLStatistics(database).count(query, now=NOW)
        if line.measure is measure
    }


def test_states_are_counted_by_branch_and_add_up(
    database: Database, counted: dict[str, str]
) -> None:
    assert lines(database, counted["某省"], Measure.STATE) == {
        ("杭州", "device", "issued", 1),
        ("杭州", "device", "expired", 1),
        ("杭州", "smime", "held", 1),
        ("宁波", "device", "revoked", 1),
        ("宁波", "device", "failed", 1),
        ("某省", "device", "issued", 1),
        ("某省", "root", "issued", 1),
    }
    assert lines(database, counted["杭州"], Measure.STATE) == {
        ("财政局", "device", "issued", 1),
        ("财政局", "device", "expired", 1),
        ("杭州", "smime", "held", 1),
    }
    assert lines(database, counted["宁波"], Measure.STATE, profile="smime") == set()


@pytest.mark.parametrize(("day", "ended"), [(1, 0), (10, 1), (20, 1), (21, 2), (30, 2)])
def test_what_ended_this_month_is_counted_from_its_nearer_end(
    database: Database, counted: dict[str, str], kept: Callable[[], None], day: int, ended: int
) -> None:
    root = counted["某省"]
    ends = datetime(2026, 11, 20, 12, tzinfo=UTC)
    with database.transaction() as connection:
        connection.execute(
            update(certificates).where(certificates.c.profile == "smime").values(not_after=ends)
        )
    kept()
    now = NOW.replace(day=day)
    query = StatisticsQuery(root, Month(2026, 10), Month(2027, 1))
    states: dict[str, int] = {}
    for line in SQLStatistics(database).count(query, now=now):
        if line.state is not None:
            states[line.state] = states.get(line.state, 0) + line.count
    alive = {"issued": 3 + (ended < 1), "held": int(ended < 2), "expired": ended}
    assert states == {"revoked": 1, "failed": 1} | {k: n for k, n in alive.items() if n}


def test_months_are_utc_and_the_period_has_an_end(
    database: Database, counted: dict[str, str]
) -> None:
    root = counted["某省"]
    assert lines(database, root, Measure.ISSUED) == {
        ("杭州", "device", "2026-11", 1),
        ("杭州", "device", "2026-10", 1),
        ("杭州", "smime", "2026-11", 1),
        ("宁波", "device", "2026-10", 1),
        ("某省", "device", "2026-11", 1),
    }
    assert lines(database, root, Measure.REVOKED) == {("宁波", "device", "2026-11", 1)}
    assert lines(database, root, Measure.EXPIRING) == {
        ("杭州", "device", "2027-01", 1),
        ("杭州", "device", "2026-11", 1),
        ("杭州", "smime", "2027-01", 1),
    }


def test_the_overview_counts_what_holds_and_what_ends_soon(
    database: Database, counted: dict[str, str]
) -> None:
    whole = SQLOverviews(database).overview(None, now=NOW)
    assert (whole.valid, whole.held, whole.revoked, whole.expired) == (3, 1, 1, 1)
    assert whole.expiring == {7: 0, 30: 0, 90: 2}
    some = SQLOverviews(database).overview(frozenset([counted["杭州"]]), now=NOW)
    assert (some.valid, some.held, some.revoked, some.expired) == (1, 1, 0, 1)
    nothing = SQLOverviews(database).overview(frozenset(["0" * 32]), now=NOW)
    assert (nothing.valid, nothing.expiring[90]) == (0, 0)


def test_what_changes_after_it_was_counted_is_counted(
    database: Database, counted: dict[str, str], kept: Callable[[], None]
) -> None:
    """Also what nobody here would do: deleting a row, and giving one to another organisation."""
    revoked = {"state": "revoked", "reason": "superseded", "revoked_at": NOW}
    of = certificates.c.organisation_id
    with database.transaction() as connection:
        connection.execute(update(certificates).where(of == counted["杭州"]).values(revoked))
        connection.execute(delete(certificates).where(of == counted["某省"]))
        connection.execute(update(certificates).where(of.is_(None)).values({of: counted["宁波"]}))
    for _ in range(2):  # what was added up is not added up again
        assert lines(database, counted["某省"], Measure.STATE) == {
            ("杭州", "device", "issued", 1),
            ("杭州", "device", "expired", 1),
            ("杭州", "smime", "revoked", 1),
            ("宁波", "device", "revoked", 1),
            ("宁波", "device", "failed", 1),
            ("宁波", "root", "issued", 1),
        }
        assert lines(database, counted["某省"], Measure.REVOKED) == {
            ("宁波", "device", "2026-11", 1),
            ("杭州", "smime", "2026-11", 1),
        }
        kept()
    assert lines(database, counted["杭州"], Measure.EXPIRING, profile="smime") == set()


def test_a_branch_that_moves_takes_its_counts_along(
    database: Database, counted: dict[str, str], kept: Callable[[], None]
) -> None:
    store = SQLOrganisationStore(database)
    office = store.find_organisation(counted["财政局"])
    assert office is not None
    store.update_organisation(replace(office, parent=counted["宁波"]))
    for _ in range(2):
        assert lines(database, counted["某省"], Measure.STATE, profile="device") == {
            ("宁波", "device", "issued", 1),
            ("宁波", "device", "expired", 1),
            ("宁波", "device", "revoked", 1),
            ("宁波", "device", "failed", 1),
            ("某省", "device", "issued", 1),
        }
        kept()


def test_a_count_that_strays_is_found_of_the_organisation_and_of_its_branch(
    database: Database, counted: dict[str, str], kept: Callable[[], None]
) -> None:
    assert astray(database) == {}
    office, device = counted["财政局"], certificates.c.profile == "device"
    revoked = {"state": "revoked", "reason": "superseded", "revoked_at": NOW}
    of = certificates.c.organisation_id == office
    with database.transaction() as connection:
        connection.execute(update(certificates).where(of, device).values(revoked))
    kept()
    assert astray(database) == {}
    counts = SQLCounts(database, lambda: None)
    counts.keep()
    with database.transaction() as connection:
        connection.execute(
            update(certificate_counts)
            .where(
                certificate_counts.c.organisation_id == office,
                certificate_counts.c.measure == "revoked",
            )
            .values(number=5)
        )
    one = Counted(office, "device", Measure.REVOKED, "", "2026-11")
    assert astray(database) == {(False, one): (5, 2), (True, one): (5, 2)}


def test_what_was_added_up_is_noted_no_more(database: Database, counted: dict[str, str]) -> None:
    SQLCounts(database, lambda: None).keep()
    with database.reading() as connection:
        assert connection.execute(select(certificate_count_changes)).all() == []
