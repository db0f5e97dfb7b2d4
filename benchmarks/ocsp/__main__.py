"""The OCSP service beside nginx with the same answers as files, cfssl and `openssl ocsp`.

    apt-get install nginx-light golang-cfssl
    PYTHONPATH=. .venv/bin/python -m benchmarks.ocsp [--certificates 1000000] [--seconds 8]

Each server runs on processor 0, the load tool on processor 1. Keys are drawn from the whole
population (`--peers` of it for the peers, who are the faster for it; as many as nginx may keep
open). The part `files` has nginx serve the whole population, too. Then the mix
(`benchmarks.ocsp.mix`), every answer of which is verified by Go's x/crypto/ocsp against the log.
Prints Markdown; processor time is of the server with all its processes.

With `--directory` what was made stays there, and `--part` does one part of it at a time: `make`
first, then the others in any order. With ten million certificates, whose answers would take hours
to sign, `fill` makes certificates and store alone, and `start` measures how a service starts with
them, and what memory its workers share.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.ocsp import peers
from benchmarks.ocsp.load import Found, answers, load
from benchmarks.ocsp.mix import run_mix
from benchmarks.ocsp.population import populate, serial
from benchmarks.ocsp.presign import presign
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


@dataclass(frozen=True, slots=True)
class _Way:
    """A way of asking that is measured."""

    name: str
    file: str
    method: Method
    close: bool


_WAYS = (
    _Way("GET, keep-alive", "get", Method.GET, close=False),
    _Way("GET, a connection each", "close", Method.GET, close=True),
    _Way("POST, keep-alive", "post", Method.POST, close=False),
)


def main() -> None:
    arguments = _arguments()
    with ExitStack() as stack:
        directory = arguments.directory
        if directory is None:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        run = _Run(arguments, directory)
        stack.callback(run.service.end)
        parts = _PARTS if arguments.part is None else (arguments.part,)
        for part in parts:
            getattr(run, part)()


_ALL_FILES = "nginx, all of them files"
_PARTS = ("make", "compare", "files", "mix", "workers")
_PARTS_ALONE = ("fill", "start")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--certificates", type=int, default=1_000_000)
    parser.add_argument(
        "--peers", type=int, default=100_000, help="certificates that peers have, at most"
    )
    parser.add_argument("--seconds", type=int, default=8, help="of each measurement")
    parser.add_argument(
        "--directory", type=Path, help="where to work; needs 5 KiB for each certificate"
    )
    parser.add_argument(
        "--part", choices=_PARTS + _PARTS_ALONE, help="do this part only, in --directory"
    )
    return parser.parse_args()


class _Run:
    def __init__(self, arguments: argparse.Namespace, directory: Path) -> None:
        self.count, self.seconds = arguments.certificates, arguments.seconds
        self.peers = min(arguments.peers, self.count, peers.most_files())
        self.directory = directory
        self.service = Service(directory / "var", patience_seconds=900, fresh=True)
        self.rows: dict[tuple[str, str], Row] = {}

    def make(self) -> None:
        """Make certificates, the store from the database, answers to all of them and requests."""
        issuer = self.fill()
        start = time.monotonic()
        presign(self.directory / "var")
        print(f"an answer signed about each: {time.monotonic() - start:.0f} s", flush=True)
        asker = Asker(issuer)
        for how, requests in self.ways(asker, range(self.count)):
            write_requests(self.directory / how.file, requests)

    def fill(self) -> bytes:
        """Make certificates, and the store from the database; give the issuer's certificate."""
        start = time.monotonic()
        issuer = populate(self.directory / "var", self.count)
        (self.directory / "issuer").write_bytes(issuer)
        print(f"{self.count} certificates, made in {time.monotonic() - start:.0f} s", flush=True)
        start = time.monotonic()
        pid = self.service.start().pid
        print(
            f"first start, the store made from the database: {time.monotonic() - start:.1f} s, "
            f"{processor_seconds(pid):.1f} s of processor time",
            flush=True,
        )
        self.service.stop()
        return issuer

    def start(self) -> None:
        """Start with the store that is there, with two workers, and ask them about some."""
        self.service.environment[_WORKERS] = "2"
        start = time.monotonic()
        self.service.start()
        print(f"start with the store, 2 workers: {time.monotonic() - start:.1f} s", flush=True)
        asker = Asker((self.directory / "issuer").read_bytes())
        some = range(0, self.count, max(1, self.count // self.peers))
        asked = write_requests(
            self.directory / "asked", (asker.over_http(Question(serial(n))) for n in some)
        )
        for words in ("each signed when it was asked for", "kept"):
            found = load(self.service.http_port, asked, seconds=0)
            print(f"{found.requests} answers, {words}: {found.rate:.0f}/s, {found.bad} bad")
        for one in memory(self.service.pid):
            print(f"memory: {one.resident} MiB resident, {one.own} MiB its share: {one.name}")
        self.service.stop()

    def compare(self) -> None:
        """Measure the service and its peers, the one with all answers and the others with some."""
        asker = Asker((self.directory / "issuer").read_bytes())
        port, pid = self.serve()
        before = processor_seconds(pid)
        time.sleep(3)
        idle = (processor_seconds(pid) - before) / 3 * 1000
        print(f"without a request: {idle:.0f} ms of processor time a second, in what follows too\n")
        print(
            f"| what | requests/s | p50 ms | p99 ms | processor µs/request | bad |\n{'|---' * 6}|"
        )
        for how in _WAYS:
            self.measure("yinxin", how.name, port, pid, self.directory / how.file, close=how.close)
        for one in memory(pid):
            print(f"memory: {one.resident} MiB resident, {one.own} MiB its share: {one.name}")
        given = dict(self.given(asker, port, self.peers))
        self.service.stop()
        self.against_peers(asker, given)
        self.ratios()

    def given(self, asker: Asker, port: int, count: int) -> Iterator[tuple[bytes, bytes]]:
        """Have the answers that peers are to give given by the service: request and answer."""
        numbers = [serial(n) for n in range(count)]
        asked = write_requests(
            self.directory / "asked", (asker.over_http(Question(one)) for one in numbers)
        )
        record = self.directory / "given"
        load(port, asked, seconds=0, record=record)
        return peers.same_answers(asker, numbers, answers(record))

    def files(self) -> None:
        """Measure nginx with every answer of the whole population as a file, and us, by turns.

        No nginx can keep so many files open: it opens each when it is asked for.
        """
        asker = Asker((self.directory / "issuer").read_bytes())
        port, pid = self.serve()
        (self.directory / "nginx").mkdir(exist_ok=True)
        start = time.monotonic()
        written = peers.write_files(self.directory / "nginx", self.given(asker, port, self.count))
        print(f"{written} files, written in {time.monotonic() - start:.0f} s", flush=True)
        filed = [serial(n) for n in range(self.count)]
        filed = [one for one in filed if peers.can_be_a_file(asker.request(Question(one)))]
        asked = {
            close: write_requests(
                self.directory / f"all-{close}",
                (asker.over_http(Question(one), close=close) for one in filed),
            )
            for close in (False, True)
        }
        ways = [way for way in _WAYS if way.method is Method.GET]
        with peers.nginx(self.directory / "nginx", keep_open=False) as (files_port, files_pid):
            # Once over all of it: what was not read for minutes is given back to the disk here.
            load(files_port, asked[False], seconds=0)
            load(port, asked[False], seconds=0)
            for _ in range(2):
                for who, its_port, its_pid in (
                    ("yinxin", port, pid),
                    (_ALL_FILES, files_port, files_pid),
                ):
                    for way in ways:
                        self.measure(
                            who, way.name, its_port, its_pid, asked[way.close], close=way.close
                        )
                for way in ways:
                    self.ratio(
                        f"{way.name}, of nginx", ("yinxin", way.name), (_ALL_FILES, way.name)
                    )
        self.service.stop()

    def mix(self) -> None:
        """Play the mix, and have every answer of it verified."""
        port, _ = self.serve()
        mix = run_mix(
            self.directory / "var",
            self.directory,
            (self.directory / "issuer").read_bytes(),
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
        for kind, waits in mix.waits.items():
            print(
                f"{kind}: {waits.count}, p50 {waits.p50_ms:.2f} ms, p99 {waits.p99_ms:.2f} ms, "
                f"{waits.p99_ms / mix.quiet.p99_ms:.1f} x"
            )
        self.service.stop()

    def serve(self) -> tuple[int, int]:
        """Start with the store that is there, on one processor; give port and process."""
        start = time.monotonic()
        self.service.start()
        print(f"start with the store: {time.monotonic() - start:.1f} s", flush=True)
        pin(self.service.pid, {0})
        return self.service.http_port, self.service.pid

    def workers(self) -> None:
        """Start again with the store that is there: one worker beside its keeper, then two.

        Two workers have both processors, and the load tool needs one of them, too: so the ratio
        is of what a processor does, and not of rates.
        """
        micros, service = [], self.service
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

    def ways(self, asker: Asker, numbers: Sequence[int]) -> Iterator[tuple[_Way, Iterator[bytes]]]:
        """Every way of asking that is measured, with its requests about these certificates."""
        for way in _WAYS:
            yield (
                way,
                (
                    asker.over_http(Question(serial(number), way.method), close=way.close)
                    for number in numbers
                ),
            )

    def against_peers(self, asker: Asker, given: dict[bytes, bytes]) -> None:
        (self.directory / "nginx").mkdir(exist_ok=True)
        filed = [
            number
            for number in range(self.peers)
            if peers.can_be_a_file(asker.request(Question(serial(number))))
        ]
        peers.write_files(self.directory / "nginx", given.items())
        with peers.nginx(self.directory / "nginx", keep_open=True) as (port, pid):
            for way, requests in self.ways(asker, filed):
                if way.method is Method.GET:
                    asked = write_requests(self.directory / "filed", requests)
                    self.measure("nginx, files", way.name, port, pid, asked, close=way.close)
        (self.directory / "cfssl").mkdir(exist_ok=True)
        with peers.cfssl(self.directory / "cfssl", list(given.values())) as (port, pid):
            questions = (_posted(serial(number)) for number in range(self.peers))
            posted = write_requests(
                self.directory / "cfssl-post",
                (asker.over_http(question, prefix="") for question in questions),
            )
            self.measure("cfssl", "POST, keep-alive", port, pid, posted, close=False)
        (self.directory / "openssl").mkdir(exist_ok=True)
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

    def ratios(self) -> None:
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
            self.ratio(words, ours, theirs)
        print()

    def ratio(self, words: str, ours: tuple[str, str], theirs: tuple[str, str]) -> None:
        """Print how we compare."""
        mine, other = self.rows[ours], self.rows[theirs]
        print(
            f"\n{words}: {mine.found.rate / other.found.rate:.2f} x the rate, "
            f"{mine.micros / other.micros:.2f} x the processor time"
        )


def _posted(number: int) -> Question:
    return Question(number, Method.POST)


if __name__ == "__main__":
    main()
