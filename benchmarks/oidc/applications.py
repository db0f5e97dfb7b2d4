"""What 300 registered applications add to the latency of one (issue 5: less than 5 %).

    PYTHONPATH=. .venv/bin/python -m benchmarks.oidc.applications [--applications 300] [--times 600]

Two services: one knows one application; the other one all of them, and each request is another
application's. One caller on one connection to each, fifty requests to one and fifty to the other,
so that what else the machine does disturbs both alike. Prints Markdown: medians and p95 of both,
and their ratio.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path

from benchmarks.oidc.load import Caller
from benchmarks.oidc.peers import register, yinxin

_ACTS: dict[str, Callable[[Caller], object]] = {
    "client credentials": Caller.client_credentials,
    "login with a session": Caller.login,
}
_PORTION = 50


def main() -> None:
    arguments = _arguments()
    with (
        tempfile.TemporaryDirectory() as first,
        tempfile.TemporaryDirectory() as second,
        yinxin(Path(first)) as alone,
        yinxin(Path(second)) as full,
    ):
        many = [(full.client_id, full.client_secret)]
        for number in range(1, arguments.applications):
            made = register(full.issuer, full.trust, full.token, f"application {number}")
            many.append((made["client"]["client_id"], made["client_secret"]))
        sides = (
            _Side(Caller(alone), [(alone.client_id, alone.client_secret)]),
            _Side(Caller(full), many),
        )
        print(f"| ms | 1 application | {len(many)}, each in turn | median | p95 |")
        print("|---|---|---|---|---|")
        for act, do in _ACTS.items():
            for side in sides:
                side.run(do, len(many))
                side.found.clear()
            for _ in range(0, arguments.times, _PORTION):
                for side in sides:
                    side.run(do, _PORTION)
            _row(act, *(side.found for side in sides))


class _Side:
    def __init__(self, caller: Caller, clients: list[tuple[str, str]]) -> None:
        self._caller = caller
        self._clients = cycle(clients)
        self.found: list[float] = []
        """Latencies in milliseconds."""

    def run(self, do: Callable[[Caller], object], times: int) -> None:
        for client in islice(self._clients, times):
            self._caller.become(*client)
            start = time.perf_counter()
            do(self._caller)
            self.found.append(1000 * (time.perf_counter() - start))


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
