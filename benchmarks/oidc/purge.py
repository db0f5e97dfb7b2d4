"""A million expired tokens are purged while clients are served (issue 5: p99 at most 1.2 times).

    PYTHONPATH=. .venv/bin/python -m benchmarks.oidc.purge [--rows 1000000] [--rate 60]

Clients ask for tokens at a steady rate, below what the service can do, before the rows are there
and while they go. The service purges by itself, once a minute. At most four minutes. Prints
Markdown.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.oidc.load import Caller
from benchmarks.oidc.peers import Provider, yinxin

_CALLERS = 2
_LONGEST_SECONDS = 180
_FILL = """
INSERT INTO oidc_access_tokens (digest, grant_id, client_id, granted, expires_at)
SELECT sha256(n::text::bytea), 'grant-' || n, 'benchmark', '{}',
       now() - interval '2 hours' - n * interval '1 millisecond'
FROM generate_series(1, %s) AS n
"""
_GONE = "SELECT n_tup_del FROM pg_stat_user_tables WHERE relname = 'oidc_access_tokens'"


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as name, yinxin(Path(name)) as ours:
        stop, queue = multiprocessing.Event(), multiprocessing.Queue()
        callers = [
            multiprocessing.Process(
                target=_call, args=(ours, arguments.rate / _CALLERS, stop, queue)
            )
            for _ in range(_CALLERS)
        ]
        for one in callers:
            one.start()
        time.sleep(3)
        quiet = time.monotonic(), time.monotonic() + arguments.seconds
        time.sleep(arguments.seconds)
        purging = _purged(ours, arguments.rows)
        stop.set()
        found = [pair for _ in callers for pair in queue.get()]
        for one in callers:
            one.join()
    _report(arguments.rows, found, quiet, purging)


def _purged(ours: Provider, rows: int) -> tuple[float, float]:
    """Fill the table, wait until it is purged; return from when to when rows went."""
    url = ours.database_url.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_FILL, (rows,))
        ends, begun = time.monotonic() + _LONGEST_SECONDS, None
        while time.monotonic() < ends:
            (gone,) = connection.execute(_GONE).fetchone() or (0,)
            if begun is None and gone:
                begun = time.monotonic()
            if begun is not None and gone >= rows:
                return begun, time.monotonic()
            time.sleep(0.5)
    sys.exit(f"{gone} of {rows} rows were purged in {_LONGEST_SECONDS} seconds")


def _report(
    rows: int,
    found: list[tuple[float, float]],
    quiet: tuple[float, float],
    purging: tuple[float, float],
) -> None:
    print("| | requests | p50 ms | p99 ms |\n|---|---|---|---|")
    p99s = []
    for what, (start, end) in (("before", quiet), ("while rows go", purging)):
        latencies = [1000 * took for at, took in found if start <= at < end]
        p99s.append(statistics.quantiles(latencies, n=100)[-1])
        median = statistics.median(latencies)
        print(f"| {what} | {len(latencies)} | {median:.2f} | {p99s[-1]:.2f} |")
    took = purging[1] - purging[0]
    print(f"\n{rows} rows went in {took:.1f} s; p99 {p99s[1] / p99s[0]:.2f} times that before")


def _call(provider: Provider, rate: float, stop: Any, queue: Any) -> None:
    caller, found = Caller(provider), []
    due = time.monotonic()
    while not stop.is_set():
        due += 1 / rate
        time.sleep(max(0.0, due - time.monotonic()))
        # From when it was due: a caller that waits for the one before does not hide it.
        caller.client_credentials()
        found.append((due, time.monotonic() - due))
    queue.put(found)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rate", type=float, default=60, help="requests a second")
    parser.add_argument("--seconds", type=float, default=30, help="before there are rows")
    return parser.parse_args()


if __name__ == "__main__":
    main()
