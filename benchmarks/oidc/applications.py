"""What 300 registered applications add to the latency of one (issue 5: less than 5 %).

    PYTHONPATH=. .venv/bin/python -m benchmarks.oidc.applications [--applications 300] [--times 600]

One caller on one connection. First one application is all there is; then the others are registered,
and each request is another one's. Prints Markdown: medians and p95 of both, and their ratio.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

from benchmarks.oidc.load import Caller
from benchmarks.oidc.peers import register, yinxin

_ACTS: dict[str, Callable[[Caller], object]] = {
    "client credentials": Caller.client_credentials,
    "login with a session": Caller.login,
}


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as name, yinxin(Path(name)) as ours:
        caller = Caller(ours)
        one = [(ours.client_id, ours.client_secret)]
        alone = {act: _latencies(caller, do, one, arguments.times) for act, do in _ACTS.items()}
        many = list(one)
        for number in range(1, arguments.applications):
            made = register(ours.issuer, ours.trust, ours.token, f"application {number}")
            many.append((made["client"]["client_id"], made["client_secret"]))
        print(f"| ms | 1 application | {len(many)}, each in turn | median | p95 |")
        print("|---|---|---|---|---|")
        for act, do in _ACTS.items():
            _row(act, alone[act], _latencies(caller, do, many, arguments.times))


def _latencies(
    caller: Caller,
    do: Callable[[Caller], object],
    clients: list[tuple[str, str]],
    times: int,
) -> list[float]:
    found = []
    for number, client in zip(range(times + 50), cycle(clients)):
        caller.become(*client)
        start = time.perf_counter()
        do(caller)
        if number >= 50:
            found.append(1000 * (time.perf_counter() - start))
    return found


def _row(act: str, alone: list[float], many: list[float]) -> None:
    before, after = (
        (statistics.median(one), statistics.quantiles(one, n=20)[-1]) for one in (alone, many)
    )
    print(
        f"| {act} | {before[0]:.2f}, p95 {before[1]:.2f} | {after[0]:.2f}, p95 {after[1]:.2f} "
        f"| {after[0] / before[0]:.3f} | {after[1] / before[1]:.3f} |",
        flush=True,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--applications", type=int, default=300)
    parser.add_argument("--times", type=int, default=600, help="of each act, on each side")
    return parser.parse_args()


if __name__ == "__main__":
    main()
