"""Searching certificates among ten thousand and among a million: p95 of each search, as a ratio.

    PYTHONPATH=. .venv/bin/python benchmarks/inventory.py [--large 1000000] [--only sqlite]

PostgreSQL is started for the run. Rows are written as the store writes them, but many at once,
before the indexes of their table, and with one and the same octets where a certificate would be.

Times are of the processor, so that a busy machine does not show in the ratio: of this process, and
on PostgreSQL of its server's process as well (`/proc/PID/schedstat`, Linux). The time of the clock
on the wall is beside them. Rows: what a search found on average, of the 100 that a page holds; a
search that finds more among a million reads more, too.
"""

from __future__ import annotations

import argparse
import itertools
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import fmean, quantiles

from sqlalchemy import Connection, Table, text

from ca.sqlstore import SQLCertificateStore
from ca.store import CertificateQuery, CertificateState
from ca.tables import certificate_terms, certificates
from ca.terms import terms_of
from core.db import Database, open_database
from tests import postgres
from yinxin.schema import upgrade

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OCTETS = bytes(700)
BATCH = 20_000
FAMILIES = "王李张刘陈杨黄赵周吴徐孙马朱胡郭何林高罗"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华建国文辉玲鹏"
OFFICES = [f"{place}{office}" for place in ("城关区", "榆中县", "皋兰县", "永登县", "安宁区")
           for office in ("公安局", "税务局", "教育局", "民政局", "卫健委", "财政局")]  # fmt: skip
PROFILES = ("device", "person-signing", "tls-server", "smime")


def row(number: int) -> dict[str, object]:
    if number % 2:
        name = f"{FAMILIES[number % 20]}{GIVEN[number // 20 % 30]}{GIVEN[number // 600 % 30]}"
        subject = f"CN={name},serialNumber=E{number:08d},O={OFFICES[number % 30]},C=CN"
    else:
        subject = f"CN=gateway-{number:08d}.city{number % 500}.gov.cn,O={OFFICES[number % 30]},C=CN"
    digest = f"{number:064x}"
    revoked = number % 50 == 7
    return {
        "id": number,
        "issuer": "sm2-issuing" if number % 3 else "rsa-issuing",
        "serial": f"{number:040x}",
        "state": CertificateState.REVOKED if revoked else CertificateState.ISSUED,
        "profile": PROFILES[number % 4],
        "subject": subject,
        "not_before": NOW,
        "not_after": NOW + timedelta(minutes=number),
        "tbs": OCTETS,
        "der": OCTETS,
        "fingerprint": digest,
        "spki_fingerprint": digest,
        "requester": f"operator-{number % 60}",
        "request_id": None,
        "organisation_id": f"{number % 60:032x}",
        "subject_id": f"{number // 2:032x}",
        "reserved_at": NOW,
        "issued_at": NOW,
        "revoked_at": NOW if revoked else None,
        "reason": "unspecified" if revoked else None,
    }


def load(database: Database, first: int, last: int) -> None:
    with database.transaction() as connection:
        for index in certificates.indexes:
            index.drop(connection)
    numbers = iter(range(first, last + 1))
    while batch := [row(number) for number in itertools.islice(numbers, BATCH)]:
        terms = sorted((term, one["id"]) for one in batch for term in terms_of(str(one["subject"])))
        with database.transaction() as connection:
            fill(connection, certificates, [tuple(one.values()) for one in batch], list(batch[0]))
            fill(connection, certificate_terms, terms, ["term", "certificate_id"])
        print(f"\r  {batch[-1]['id']:>9,} rows", end="", flush=True)
    print()
    with database.transaction() as connection:
        for index in certificates.indexes:
            index.create(connection)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
        if database.engine.dialect.name == "postgresql":
            connection.execute(text("VACUUM"))
            connection.execute(text("CHECKPOINT"))


def fill(
    connection: Connection, table: Table, rows: Sequence[tuple[object, ...]], names: Sequence[str]
) -> None:
    """Write many rows: by COPY where there is one."""
    if connection.dialect.name != "postgresql":
        marks = ", ".join("?" * len(names))
        statement = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608 - our own words
        connection.connection.cursor().executemany(statement, [_kept(one) for one in rows])
        return
    cursor = connection.connection.cursor()
    with cursor.copy(f"COPY {table.name} ({', '.join(names)}) FROM STDIN") as copy:
        for one in rows:
            copy.write_row(one)


def _kept(one: tuple[object, ...]) -> tuple[object, ...]:
    """As SQLAlchemy keeps times in SQLite."""
    return tuple(
        f"{value:%Y-%m-%d %H:%M:%S.%f}" if isinstance(value, datetime) else value for value in one
    )


def searches(size: int) -> dict[str, Callable[[], CertificateQuery]]:
    def some() -> int:
        return 1 + secrets.randbelow(size)

    def expiry() -> CertificateQuery:
        start = NOW + timedelta(minutes=some())
        return CertificateQuery(expires_after=start, expires_before=start + timedelta(days=30))

    return {
        "no criterion": CertificateQuery,
        "issuer": lambda: CertificateQuery(issuer="rsa-issuing"),
        "state": lambda: CertificateQuery(state=CertificateState.REVOKED),
        "issuer and state": lambda: CertificateQuery(
            issuer="sm2-issuing", state=CertificateState.REVOKED
        ),
        "profile": lambda: CertificateQuery(profile="smime"),
        "requester": lambda: CertificateQuery(requester=f"operator-{secrets.randbelow(60)}"),
        "organisation": lambda: CertificateQuery(organisation_id=f"{secrets.randbelow(60):032x}"),
        "subject, as kept": lambda: CertificateQuery(subject_id=f"{some() // 2:032x}"),
        "serial": lambda: CertificateQuery(serial=some()),
        "fingerprint": lambda: CertificateQuery(fingerprint=f"{some():064x}"),
        "SPKI": lambda: CertificateQuery(spki_fingerprint=f"{some():064x}"),
        "expires in 30 days": expiry,
        "issued, expires in 30 days": lambda: CertificateQuery(
            state=CertificateState.ISSUED, expires_before=NOW + timedelta(days=30)
        ),
        "text: a number": lambda: CertificateQuery(text=f"gateway {2 * (some() // 2):08d}"),
        "text: a name": lambda: CertificateQuery(
            text=secrets.choice(FAMILIES) + secrets.choice(GIVEN) + secrets.choice(GIVEN)
        ),
        "text: an office": lambda: CertificateQuery(text=secrets.choice(OFFICES)),
        "text: in everything": lambda: CertificateQuery(text="gateway"),
        "text and profile": lambda: CertificateQuery(text="公安局", profile="device"),
    }


@dataclass(frozen=True)
class Figure:
    """One search, many times. Times in milliseconds, p95."""

    processor: float
    wall: float
    rows: float


class Processor:
    """The processor time of this process and of the database server's processes for it."""

    def __init__(self, database: Database) -> None:
        self._servers: list[Path] = []
        if database.engine.dialect.name == "postgresql":
            with database.reading() as connection:
                found = connection.execute(
                    text("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
                )
                self._servers = [Path(f"/proc/{pid}/schedstat") for pid in found.scalars()]

    def __call__(self) -> float:
        spent = (int(server.read_text().split()[0]) for server in self._servers)
        return time.process_time() + sum(spent) / 1e9


def measured(
    database: Database, store: SQLCertificateStore, make: Callable[[], CertificateQuery], times: int
) -> Figure:
    watch = Processor(database)
    processor, wall, rows = [], [], []
    for _ in range(times):
        query = make()
        started, spent = time.perf_counter(), watch()
        page = store.search_certificates(query)
        processor.append((watch() - spent) * 1000)
        wall.append((time.perf_counter() - started) * 1000)
        rows.append(len(page.items))
    return Figure(quantiles(processor, n=20)[-1], quantiles(wall, n=20)[-1], fmean(rows))


def measure(url: str, small: int, large: int, times: int) -> None:
    database = open_database(url)
    upgrade(database)
    store = SQLCertificateStore(database)
    figures: list[dict[str, Figure]] = []
    for first, last in ((1, small), (small + 1, large)):
        load(database, first, last)
        figures.append(
            {name: measured(database, store, make, times) for name, make in searches(last).items()}
        )
    database.close()
    print(
        f"  | search | p95 at {small:,} | p95 at {large:,} | ratio | wall | rows |\n"
        "  |---|---|---|---|---|---|"
    )
    for name, few in figures[0].items():
        many = figures[1][name]
        print(
            f"  | {name} | {few.processor:.2f} ms | {many.processor:.2f} ms "
            f"| {many.processor / few.processor:.2f} | {many.wall / few.wall:.2f} "
            f"| {few.rows:.0f}, {many.rows:.0f} |"
        )


def databases(only: str | None) -> Iterator[tuple[str, str]]:
    if only != "postgresql":
        with tempfile.TemporaryDirectory() as directory:
            yield "SQLite", f"sqlite:///{Path(directory)}/inventory.sqlite3"
    if only != "sqlite":
        with postgres.server() as url:
            yield "PostgreSQL", postgres.fresh_database(url, "inventory")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", type=int, default=10_000)
    parser.add_argument("--large", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    arguments = parser.parse_args()
    for name, url in databases(arguments.only):
        print(name)
        measure(url, arguments.small, arguments.large, arguments.times)


if __name__ == "__main__":
    main()
