"""The server's time for every page of the console and the portal, among a million certificates.

    PYTHONPATH=. .venv/bin/python benchmarks/pages.py [--certificates 1000000] [--users 10000]

A whole installation in this process, on SQLite, filled as for the tests of all pages; then with
certificates and users in number. Each page is asked for by the application itself, without TLS, as
somebody who may see it. Times in milliseconds: of the clock on the wall, p95 and median, and of
the processor, p95. The limit is 100 ms.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

from sqlalchemy import insert, update

from authn.tables import users
from benchmarks.inventory import NOW, load
from ca.tables import certificates
from tests.integration.console import installation
from tests.integration.everypage import Everything

LIMIT = 100
FIRST = 1001
"""The number of the first certificate that is loaded: an installation has a few of its own."""
SEARCHES = {
    "search by name": "/console/certificates?text=王伟",
    "search by office": "/console/certificates?text=城关区公安局",
    "search by state": "/console/certificates?state=revoked",
    "search by issuer and state": "/console/certificates?issuer=rsa-issuing&state=revoked",
    "search by days left": "/console/certificates?expires_within_days=30",
}


def add_users(everything: Everything, number: int) -> None:
    database = everything.service.ground.database
    with database.transaction() as connection:
        row = {"display_name": "王伟", "created_at": NOW, "disabled": False, "failed_attempts": 0}
        connection.execute(
            insert(users),
            [{**row, "id": f"loaded-{n:08d}", "name": f"loaded{n:08d}"} for n in range(number)],
        )


def put_into_the_tree(everything: Everything) -> None:
    """The organisations of the loaded certificates are none of this installation's."""
    ours = update(certificates).where(certificates.c.id >= FIRST)
    with everything.service.ground.database.transaction() as connection:
        connection.execute(ours.values(organisation_id=everything.root))


def measure(everything: Everything, who: str, address: str, times: int) -> tuple[float, ...]:
    """Return p95 and median on the wall, and p95 of the processor, in milliseconds."""
    wall, processor = [], []
    everything.show(who, address)  # the first time a template is compiled
    for _ in range(times):
        began, spent = time.perf_counter(), time.process_time()
        answer = everything.show(who, address)
        wall.append((time.perf_counter() - began) * 1000)
        processor.append((time.process_time() - spent) * 1000)
        if answer.status_code not in (200, 403):
            raise SystemExit(f"{address}: {answer.status_code}")
    return quantiles(wall, n=20)[-1], median(wall), quantiles(processor, n=20)[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--certificates", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--only", default="", help="pages whose address has this text")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, installation(Path(directory)) as found:
        everything = Everything(*found)
        load(everything.service.ground.database, FIRST, FIRST + asked.certificates - 1)
        put_into_the_tree(everything)
        everything.service.counts.keep()
        add_users(everything, asked.users)
        pages = dict(everything.pages)
        pages |= {name: ("business", at) for name, at in SEARCHES.items()}
        print(f"{'page':58} {'p95':>7} {'median':>7} {'cpu p95':>8}")
        slow = 0
        for route, (who, address) in sorted(pages.items()):
            if asked.only not in route:
                continue
            p95, middle, processor = measure(everything, who, address, asked.times)
            slow += p95 > LIMIT
            mark = "  over the limit" if p95 > LIMIT else ""
            print(f"{route:58} {p95:7.1f} {middle:7.1f} {processor:8.1f}{mark}", flush=True)
        print(f"{len(pages)} pages, {slow} over {LIMIT} ms")


if __name__ == "__main__":
    main()
