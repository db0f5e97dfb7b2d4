"""A tree with 1,000 units and a million certificates: what rights, scopes and statistics cost.

    PYTHONPATH=. .venv/bin/python benchmarks/branches.py [--large 1000000] [--only sqlite]

PostgreSQL is started for the run; its times are of the clock on the wall. SQLite works in this
process, and its times are of the processor, so that a busy machine does not show in them.

One province, ten cities, ten departments each, ten units each; a certificate belongs to one unit,
and the first 6,000 to the last city alone.
"""

from __future__ import annotations

import argparse
import itertools
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles

from sqlalchemy import text

from benchmarks.inventory import fill
from ca.operations import Operation, ReviewsOfProfiles
from ca.organisations import Organisations
from ca.organisations_store import Level, OrganisationQuery
from ca.profiles import load_profiles
from ca.reviews import Reviews
from ca.rights import Rights
from ca.rights_store import Grant, Step
from ca.sqlkeptcounts import SQLCounts
from ca.sqlorganisations import SQLOrganisationStore
from ca.sqlreviews import SQLReviewRuleStore
from ca.sqlrights import SQLRightStore
from ca.sqlstatistics import SQLStatistics
from ca.sqlstore import SQLCertificateStore
from ca.statistics import Month, StatisticsQuery
from ca.store import CertificateQuery
from ca.tables import certificates
from core.clock import SystemClock
from core.db import Database, open_database
from tests import postgres
from tests.fakes.audit import MemoryAuditLog
from yinxin.schema import upgrade

NOW = datetime(2026, 6, 1, tzinfo=UTC)
BATCH = 5000
ENTRY = Grant(None, frozenset({Operation.APPLY, Operation.QUERY}), frozenset({Step.ENTRY}))


class World:
    """The services over one database, and its tree."""

    def __init__(self, database: Database) -> None:
        self.database = database
        common = {"transactions": database, "audit": MemoryAuditLog(), "clock": SystemClock()}
        self.organisations = Organisations(SQLOrganisationStore(database), **common)
        self.rights = Rights(
            SQLRightStore(database),
            self.organisations,
            find_operator=str,
            separate_steps=True,
            **common,
        )
        profiles = load_profiles()
        self.reviews = Reviews(
            SQLReviewRuleStore(database),
            self.rights,
            self.organisations,
            profiles=profiles,
            default=ReviewsOfProfiles(profiles),
            **common,
        )
        self.certificates = SQLCertificateStore(database)
        self.statistics = SQLStatistics(database)
        self.counts = SQLCounts(database, SQLOrganisationStore(database).lock_tree)
        with database.transaction():
            self._plant()

    def _plant(self) -> None:
        self.root = self.organisations.ensure_root("省", actor="system").id
        self.rights.give_everything("alice", actor="system")
        self.cities = [self._add(self.root, Level.CITY, n) for n in range(10)]
        departments = [
            self._add(city, Level.DEPARTMENT, n) for city in self.cities for n in range(10)
        ]
        self.units = [self._add(parent, Level.UNIT, n) for parent in departments for n in range(10)]
        for name, place in (("unit", self.units[7]), ("city", self.cities[3])):
            self.rights.grant(name, place, ENTRY, actor="alice")
        self.rights.grant("last", self.cities[9], ENTRY, actor="alice")

    def _add(self, parent: str, level: Level, number: int) -> str:
        return self.organisations.create(parent, level, f"机构{number}", actor="alice").id

    def row(self, number: int) -> dict[str, object]:
        """Certificate `number`; those of the last city are the oldest."""
        unit = self.units[number % 900]
        digest = f"{number:064x}"
        return {
            "id": number,
            "issuer": "sm2-issuing",
            "serial": f"{number:040x}",
            "state": "issued",
            "profile": ("device", "smime")[number % 2],
            "subject": f"CN={number}",
            "not_before": NOW,
            "not_after": NOW + timedelta(minutes=number % 1_000_000),
            "tbs": bytes(700),
            "der": bytes(700),
            "fingerprint": digest,
            "spki_fingerprint": digest,
            "requester": "alice",
            "request_id": None,
            "organisation_id": self.cities[9] if number < 6000 else unit,
            "reserved_at": NOW,
            "issued_at": NOW,
            "revoked_at": None,
            "reason": None,
        }

    def load(self, first: int, last: int) -> None:
        numbers = iter(range(first, last + 1))
        while batch := [self.row(n) for n in itertools.islice(numbers, BATCH)]:
            with self.database.transaction() as connection:
                rows = [tuple(one.values()) for one in batch]
                fill(connection, certificates, rows, list(batch[0]))
        with self.database.engine.connect().execution_options(
            isolation_level="AUTOCOMMIT"
        ) as connection:
            connection.execute(text("ANALYZE"))
        began = time.process_time(), time.perf_counter()
        self.counts.keep()
        spent = time.process_time() - began[0], time.perf_counter() - began[1]
        print(f"  counts of {last - first + 1:,} certificates added up: "
              f"{spent[0]:.1f} s of this process, {spent[1]:.1f} s", flush=True)  # fmt: skip

    def acts(self) -> dict[str, Callable[[], object]]:
        def require() -> None:
            unit = self.units[secrets.randbelow(100) + 300]
            self.rights.require(
                "city", Operation.APPLY, Step.ENTRY, organisation=unit, profile="device"
            )

        def search(name: str) -> Callable[[], object]:
            scope = self.rights.scope(name)
            return lambda: self.certificates.search_certificates(CertificateQuery(scope=scope))

        def count(organisation: str) -> Callable[[], object]:
            query = StatisticsQuery(organisation, Month(2025, 7), Month(2027, 6))
            return lambda: self.statistics.count(query, now=NOW)

        return {
            "a right, required": require,
            "a review rule, looked up": lambda: self.reviews.needed(
                Operation.APPLY, "device", secrets.choice(self.units)
            ),
            "search by who holds everything": search("alice"),
            "search by who holds a city (a tenth)": search("city"),
            "search by who holds a unit (a thousandth)": search("unit"),
            "search by who holds what is oldest": search("last"),
            "100 organisations of a city": lambda: self.organisations.list_organisations(
                OrganisationQuery(under=self.cities[2])
            ),
            "statistics of a city": count(self.cities[3]),
            "statistics of the province": count(self.root),
        }


def p95(act: Callable[[], object], times: int, watch: Callable[[], float]) -> tuple[float, float]:
    taken = []
    for _ in range(times):
        started = watch()
        act()
        taken.append(watch() - started)
        if sum(taken) > 3 and len(taken) > 3:
            break
    return median(taken), quantiles(taken, n=20)[-1]


def measure(url: str, small: int, large: int, times: int) -> None:
    database = open_database(url)
    upgrade(database)
    world = World(database)
    watch = time.thread_time if url.startswith("sqlite") else time.perf_counter
    figures: list[dict[str, tuple[float, float]]] = []
    for first, last in ((1, small), (small + 1, large)):
        world.load(first, last)
        figures.append({name: p95(act, times, watch) for name, act in world.acts().items()})
    database.close()
    print(f"  | | p95 at {small:,} | p95 at {large:,} | median at {large:,} |\n  |---|---|---|---|")
    for name, before in figures[0].items():
        middle, after = figures[1][name]
        print(
            f"  | {name} | {before[1] * 1000:.2f} ms | {after * 1000:.2f} ms "
            f"| {middle * 1000:.2f} ms |"
        )


def databases(only: str | None) -> Iterator[tuple[str, str]]:
    if only != "postgresql":
        with tempfile.TemporaryDirectory() as directory:
            yield "SQLite", f"sqlite:///{Path(directory)}/branches.sqlite3"
    if only != "sqlite":
        with postgres.server() as url:
            yield "PostgreSQL", postgres.fresh_database(url, "branches")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", type=int, default=10_000)
    parser.add_argument("--large", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    arguments = parser.parse_args()
    for name, url in databases(arguments.only):
        print(name)
        measure(url, arguments.small, arguments.large, arguments.times)


if __name__ == "__main__":
    main()
