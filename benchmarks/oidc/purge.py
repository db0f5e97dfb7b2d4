"""A million expired tokens are purged while clients are served (issue 5: p99 at most 1.2 times).

    PYTHONPATH=. .venv/bin/python -m benchmarks.oidc.purge [--rows 1000000] [--rate 60]

Clients ask for tokens at a steady rate, below what the service can do, before the rows are there,
while they go and after that. The service purges by itself, once a minute and for three at most;
what goes in `--longest` seconds is what is reported. Prints Markdown.
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
        before = _pause(arguments.seconds)
        gone, purging = _purged(ours, arguments.rows, arguments.longest)
        after = _pause(arguments.seconds) if gone >= arguments.rows else (0.0, 0.0)
        stop.set()
        found = [pair for _ in callers for pair in queue.get()]
        for one in callers:
            one.join()
    _report(gone, found, (before, after), purging)


def _pause(seconds: float) -> tuple[float, float]:
    start = time.monotonic()
    time.sleep(seconds)
    return start, time.monotonic()


def _purged(ours: Provider, rows: int, longest: float) -> tuple[int, tuple[float, float]]:
    """Fill the table, wait until it is purged; return how many went, from when to when."""
    url = ours.database_url.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_FILL, (rows,))
        ends, begun = time.monotonic() + 70 + longest, None
        while time.monotonic() < ends:
            (gone,) = connection.execute(_GONE).fetchone() or (0,)
            if begun is None and gone:
                begun = time.monotonic()
                ends = begun + longest
            if begun is not None and gone >= rows:
                break
            time.sleep(0.5)
    if begun is None:
        sys.exit("nothing was purged")
    return gone, (begun, time.monotonic())


def _report(
    rows: int,
    found: list[tuple[float, float]],
    quiet: tuple[tuple[float, float], ...],
    purging: tuple[float, float],
) -> None:
    print("| | requests | p50 ms | p99 ms |\n|---|---|---|---|")
    p99s = []
    for what, times in (("before and after", quiet), ("while rows go", (purging,))):
        latencies = [
            1000 * took for at, took in found if any(start <= at < end for start, end in times)
        ]
        p99s.append(statistics.quantiles(latencies, n=100)[-1])
        median = statistics.median(latencies)
        print(f"| {what} | {len(latencies)} | {median:.2f} | {p99s[-1]:.2f} |")
    took = purging[1] - purging[0]
    print(f"\n{rows} rows went in {took:.1f} s; p99 {p99s[1] / p99s[0]:.2f} times")


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
    parser.add_argument("--seconds", type=float, default=30, help="before, and after")
    parser.add_argument("--longest", type=float, default=300, help="while rows go, in seconds")
    return parser.parse_args()


if __name__ == "__main__":
    main()
