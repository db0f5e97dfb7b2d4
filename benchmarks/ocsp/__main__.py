"""The OCSP service beside nginx with the same answers as files, cfssl and `openssl ocsp`.

    apt-get install nginx-light golang-cfssl
    PYTHONPATH=. .venv/bin/python -m benchmarks.ocsp [--certificates 1000000] [--seconds 8]

Each server runs on processor 0, the load tool on processor 1. Keys are drawn from the whole
population (`--peers` of it for the peers, who are the faster for it). Then the mix
(`benchmarks.ocsp.mix`), every answer of which is verified by Go's x/crypto/ocsp against the log.
Prints Markdown; processor time is of the server with all its processes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.ocsp import peers
from benchmarks.ocsp.load import Found, answers, load
from benchmarks.ocsp.mix import run_mix
from benchmarks.ocsp.population import populate, serial
from benchmarks.ocsp.processes import memory, pin, processor_seconds
from benchmarks.ocsp.questions import Asker, Method, Question, write_requests
from tests.service import Service

BOUND_MS = 1000
_WORKERS = "YINXIN_REVOCATION__OCSP__WORKERS"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    who: str
    how: str
    found: Found
    micros: float
    """Of the server's processors for each request."""


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory(dir=arguments.directory) as name:
        run = _Run(arguments, Path(name))
        try:
            run.all()
        finally:
            run.service.end()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--certificates", type=int, default=1_000_000)
    parser.add_argument("--peers", type=int, default=100_000, help="certificates that peers have")
    parser.add_argument("--seconds", type=int, default=8, help="of each measurement")
    parser.add_argument("--directory", help="where to work; needs 2 KiB for each certificate")
    return parser.parse_args()


class _Run:
    def __init__(self, arguments: argparse.Namespace, directory: Path) -> None:
        self.count, self.seconds = arguments.certificates, arguments.seconds
        self.peers = min(arguments.peers, self.count)
        self.directory = directory
        self.service = Service(directory / "var", patience_seconds=900)
        self.rows: dict[tuple[str, str], Row] = {}

    def all(self) -> None:
        start = time.monotonic()
        issuer = populate(self.directory / "var", self.count)
        print(f"{self.count} certificates, made in {time.monotonic() - start:.0f} s\n", flush=True)
        asker = Asker(issuer)
        start = time.monotonic()
        service = self.service.start()
        print(
            f"first start, the store made from the database: {time.monotonic() - start:.1f} s",
            flush=True,
        )
        port, pid = service.http_port, service.pid
        pin(pid, {0})
        before = processor_seconds(pid)
        time.sleep(3)
        idle = (processor_seconds(pid) - before) / 3 * 1000
        print(f"without a request: {idle:.0f} ms of processor time a second, in what follows too")
        everything = self.requests("each", asker, range(self.count), Question)
        record = self.directory / "first"
        first = load(port, everything, seconds=0, record=record)
        print(f"every certificate once, signed when asked: {first.rate:.0f}/s, {first.bad} bad\n")
        given = peers.same_answers(
            asker,
            [serial(n) for n in range(self.peers)],
            (one for one in answers(record) if one.number < self.peers),
        )
        record.unlink()
        print(
            f"| what | requests/s | p50 ms | p99 ms | processor µs/request | bad |\n{'|---' * 6}|"
        )
        for how, requests, close in self.ways(asker, range(self.count)):
            self.measure("yinxin", how, port, pid, requests, close=close)
        self.against_peers(asker, given)
        self.compare()
        for one in memory(pid):
            print(f"memory: {one.resident} MiB resident, {one.own} MiB its share: {one.name}")
        mix = run_mix(
            self.directory / "var",
            self.directory,
            issuer,
            count=self.count,
            port=port,
            seconds=self.seconds,
            bound=BOUND_MS,
        )
        print(
            f"\nmix: {mix.found.rate:.0f}/s, p50 {mix.found.p50_ms:.2f} ms, p99 "
            f"{mix.found.p99_ms:.2f} ms, {mix.found.p99_ms / mix.quiet.p99_ms:.1f} x the p99 "
            f"without it ({mix.quiet.p99_ms:.2f} ms at {mix.quiet.rate:.0f}/s); "
            f"{mix.revocations} revocations in {mix.revocations_seconds:.1f} s\n{mix.verdict}"
        )
        service.stop()
        self.workers(service)

    def workers(self, service: Service) -> None:
        """Start again with the store that is there: one worker beside its keeper, then two.

        Two workers have both processors, and the load tool needs one of them, too: so the ratio
        is of what a processor does, and not of rates.
        """
        micros = []
        for count, processors in ((1, {0}), (2, {0, 1})):
            service.environment[_WORKERS] = str(count)
            start = time.monotonic()
            service.start()
            print(f"\nstart with the store, {count} workers: {time.monotonic() - start:.1f} s\n")
            pin(service.pid, processors)
            self.measure(
                f"yinxin, {count} workers",
                "GET, keep-alive",
                service.http_port,
                service.pid,
                self.directory / "get",
                close=False,
                processors="1" if count == 1 else "0,1",
            )
            micros.append(self.rows[f"yinxin, {count} workers", "GET, keep-alive"].micros)
            for one in memory(service.pid):
                print(f"memory: {one.resident} MiB resident, {one.own} MiB its share: {one.name}")
            service.stop()
        print(f"\ntwo workers on two processors: {2 * micros[0] / micros[1]:.2f} x one worker")

    def ways(self, asker: Asker, numbers: Iterable[int]) -> list[tuple[str, Path, bool]]:
        """Every way of asking that is measured: its name, its requests, one connection each."""
        return [
            ("GET, keep-alive", self.requests("get", asker, numbers, Question), False),
            (
                "GET, a connection each",
                self.requests("close", asker, numbers, Question, close=True),
                True,
            ),
            ("POST, keep-alive", self.requests("post", asker, numbers, _posted), False),
        ]

    def against_peers(self, asker: Asker, given: dict[bytes, bytes]) -> None:
        numbers = range(self.peers)
        filed = [n for n in numbers if peers.can_be_a_file(asker.request(Question(serial(n))))]
        ways = self.ways(asker, filed)
        (self.directory / "nginx").mkdir()
        with peers.nginx(self.directory / "nginx", given) as (port, pid):
            for how, requests, close in ways[:2]:
                self.measure("nginx, files", how, port, pid, requests, close=close)
        (self.directory / "cfssl").mkdir()
        with peers.cfssl(self.directory / "cfssl", list(given.values())) as (port, pid):
            posted = self.requests("cfssl-post", asker, numbers, _posted, prefix="")
            self.measure("cfssl", "POST, keep-alive", port, pid, posted, close=False)
        (self.directory / "openssl").mkdir()
        with peers.openssl(self.directory / "openssl", self.peers) as (port, pid, other, serials):
            posted = write_requests(
                self.directory / "openssl-post",
                (other.over_http(_posted(one), close=True) for one in serials),
            )
            self.measure("openssl ocsp", "POST, a connection each", port, pid, posted, close=True)

    def measure(
        self,
        who: str,
        how: str,
        port: int,
        pid: int,
        requests: Path,
        *,
        close: bool,
        processors: str = "1",
    ) -> None:
        load(port, requests, seconds=min(2, self.seconds), close=close, processors=processors)
        before = processor_seconds(pid)
        found = load(port, requests, seconds=self.seconds, close=close, processors=processors)
        micros = (processor_seconds(pid) - before) / found.requests * 1e6
        self.rows[who, how] = Row(who, how, found, micros)
        print(
            f"| {who}, {how} | {found.rate:.0f} | {found.p50_ms:.2f} | {found.p99_ms:.2f} | "
            f"{micros:.1f} | {found.bad} |",
            flush=True,
        )

    def compare(self) -> None:
        """Print the ratios that the bars are about."""
        keep, close, post = (
            ("yinxin", how)
            for how in ("GET, keep-alive", "GET, a connection each", "POST, keep-alive")
        )
        for words, ours, theirs in (
            ("GET keep-alive, of nginx", keep, ("nginx, files", keep[1])),
            ("GET a connection each, of nginx", close, ("nginx, files", close[1])),
            ("GET of cfssl's POST, keep-alive", keep, ("cfssl", post[1])),
            ("POST of cfssl's POST, keep-alive", post, ("cfssl", post[1])),
            (
                "GET a connection each of openssl's",
                close,
                ("openssl ocsp", "POST, a connection each"),
            ),
        ):
            mine, other = self.rows[ours], self.rows[theirs]
            print(
                f"\n{words}: {mine.found.rate / other.found.rate:.2f} x the rate, "
                f"{mine.micros / other.micros:.2f} x the processor time"
            )
        print()

    def requests(
        self,
        name: str,
        asker: Asker,
        numbers: Iterable[int],
        question: Callable[[int], Question],
        *,
        prefix: str = "/ocsp",
        close: bool = False,
    ) -> Path:
        """Write a file of requests about these certificates."""
        made = (
            asker.over_http(question(serial(number)), prefix=prefix, close=close)
            for number in numbers
        )
        return write_requests(self.directory / name, made)


def _posted(number: int) -> Question:
    return Question(number, Method.POST)


if __name__ == "__main__":
    main()
