"""Searching certificates among ten thousand and among a million: p95 of each search, as a ratio.

    PYTHONPATH=. .venv/bin/python benchmarks/inventory.py [--large 1000000] [--only sqlite]

PostgreSQL is started for the run. Rows are written as the store writes them, but many at once and
with one and the same octets where a certificate would be.
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
from statistics import quantiles

from sqlalchemy import insert, text

from ca.sqlstore import SQLCertificateStore
from ca.store import CertificateQuery, CertificateState
from ca.tables import certificate_terms, certificates
from ca.terms import terms_of
from core.db import Database, open_database
from tests import postgres
from yinxin.schema import upgrade

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OCTETS = bytes(700)
BATCH = 5000
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
        "requester": f"operator-{number % 300}",
        "request_id": None,
        "reserved_at": NOW,
        "issued_at": NOW,
        "revoked_at": NOW if revoked else None,
        "reason": "unspecified" if revoked else None,
    }


def load(database: Database, first: int, last: int) -> None:
    numbers = iter(range(first, last + 1))
    while batch := [row(number) for number in itertools.islice(numbers, BATCH)]:
        with database.transaction() as connection:
            connection.execute(insert(certificates), batch)
            terms = [
                {"term": term, "certificate_id": one["id"]}
                for one in batch
                for term in terms_of(str(one["subject"]))
            ]
            connection.execute(insert(certificate_terms), terms)
        print(f"\r  {batch[-1]['id']:>9,} rows", end="", flush=True)
    print()
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
        if database.engine.dialect.name == "postgresql":
            connection.execute(text("VACUUM"))
            connection.execute(text("CHECKPOINT"))


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
        "requester": lambda: CertificateQuery(requester=f"operator-{secrets.randbelow(300)}"),
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


def p95(store: SQLCertificateStore, make: Callable[[], CertificateQuery], times: int) -> float:
    taken = []
    for _ in range(times):
        query = make()
        started = time.perf_counter()
        store.search_certificates(query)
        taken.append(time.perf_counter() - started)
    return quantiles(taken, n=20)[-1]


def measure(url: str, small: int, large: int, times: int) -> None:
    database = open_database(url)
    upgrade(database)
    store = SQLCertificateStore(database)
    figures: list[dict[str, float]] = []
    for first, last in ((1, small), (small + 1, large)):
        load(database, first, last)
        figures.append({name: p95(store, make, times) for name, make in searches(last).items()})
    database.close()
    print(f"  | search | p95 at {small:,} | p95 at {large:,} | ratio |\n  |---|---|---|---|")
    for name, before in figures[0].items():
        after = figures[1][name]
        print(
            f"  | {name} | {before * 1000:.2f} ms | {after * 1000:.2f} ms | {after / before:.2f} |"
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
