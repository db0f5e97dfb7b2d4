"""OCSP while things break: no wrong answer, and it goes on without hands.

    apt-get install libfaketime softhsm2
    PYTHONPATH=. .venv/bin/python benchmarks/soak_revocation.py [--minutes 5] [--database DATABASE]

As root: the state directory lies on a small file system of its own, so that it can be filled.
The responder's key is on a SoftHSM token.
`yinxin serve` with two workers answers the mix of `benchmarks.ocsp` (unknown serial numbers, POST,
nonces, revoked certificates) and, round by round, one thing breaks; another process revokes while
it is broken or, where nothing can be revoked then (or no host can hear of it), as soon as it is
not. Go's x/crypto/ocsp then judges every answer against the log of all revocations. A wrong answer,
or a service that does not come back by itself, ends the run with an error. Prints a Markdown table;
*back* is the time from the end of the fault until a new signature was given.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from cryptography.x509 import ocsp

from benchmarks.ocsp.load import Found, load
from benchmarks.ocsp.mix import Played, revoking
from benchmarks.ocsp.population import ISSUER, populate_some, serial
from benchmarks.ocsp.processes import family
from benchmarks.ocsp.questions import Asker, Method, Question
from tests import keystore_softhsm as softhsm
from tests import postgres
from tests.service import Service

REVOCATIONS_A_SECOND = 20
REVOKING_SECONDS = 4
SAMPLE = 20_000
_BACK_SECONDS = 60
_FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that happens and ends; the service has to come back by itself."""

    name: str
    happens: Callable[[], None]
    revoking: bool = False
    """Revocations go on meanwhile. Otherwise they begin when the service is back."""


def _nothing() -> None:
    """Nothing else happens."""


class Soak:
    """One service, and what can happen to it."""

    def __init__(self, directory: Path, count: int, server: postgres.Server | None) -> None:
        self.state = directory / "disk/var"
        self.clock = directory / "clock"
        self.clock.write_text("+0\n")
        self.count = count
        self.server = server
        self.revoked = 0
        self.log = ""
        self.tokens = _token(directory)
        self.issuer = populate_some(self.state, count)
        self.asker = Asker(self.issuer)
        self.service = Service(
            self.state,
            {
                "YINXIN_REVOCATION__OCSP__WORKERS": "2",
                "LD_PRELOAD": _FAKETIME,
                "FAKETIME_TIMESTAMP_FILE": str(self.clock),
                "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            },
            patience_seconds=120,
            fresh=True,
        )

    def faults(self) -> list[Fault]:
        """Everything that can happen, one after the other."""
        found = [
            Fault("a worker is killed", self.kill_a_worker, revoking=True),
            Fault("a worker stands still for 2 s", self.stop_a_worker, revoking=True),
            Fault("the writer, who signs too, is killed", self.kill_the_writer),
            Fault("the writer stands still for 8 s: nothing is signed", self.stop_the_writer),
            Fault("everything is killed and started", self.kill_everything, revoking=True),
            Fault("the disk is full for 3 s", self.fill_the_disk),
            Fault("the clock goes back an hour for 3 s", self.turn_the_clock),
            Fault("the token is away for 5 s", self.take_the_token_away, revoking=True),
        ]
        if self.server is not None:
            away = self.server.away
            found += [
                Fault("the database is away for 5 s", lambda: self.without(away)),
                Fault(
                    "without the database the writer is killed",
                    lambda: self.without(away, self.kill_the_writer),
                ),
            ]
        return found

    def kill_a_worker(self) -> None:
        os.kill(self._worker(), signal.SIGKILL)

    def stop_a_worker(self) -> None:
        with _standing(self._worker()):
            time.sleep(2)

    def kill_the_writer(self) -> None:
        os.kill(self._writer(), signal.SIGKILL)

    def stop_the_writer(self) -> None:
        with _standing(self._writer()):
            time.sleep(8)

    def kill_everything(self) -> None:
        for pid in family(self.service.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.service.kill()
        self.service.start()

    def fill_the_disk(self) -> None:
        filler = self.state.parent / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 20))
        time.sleep(3)
        filler.unlink()

    def turn_the_clock(self) -> None:
        # Back, where nothing may be signed, and to the present: a machine that slept and woke.
        self.clock.write_text("-1h\n")
        time.sleep(3)
        self.clock.write_text("+0\n")

    def take_the_token_away(self) -> None:
        away = self.tokens.with_name("away")
        self.tokens.rename(away)
        time.sleep(5)
        away.rename(self.tokens)

    def without(
        self,
        database: Callable[[], AbstractContextManager[None]],
        act: Callable[[], None] = _nothing,
    ) -> None:
        with database():
            act()
            time.sleep(5)

    def _writer(self) -> int:
        return max(family(self.service.pid)[1:], key=_threads)

    def _worker(self) -> int:
        writer = self._writer()
        return secrets.choice([one for one in family(self.service.pid)[1:] if one != writer])

    def round(self, fault: Fault, directory: Path, bound_ms: int) -> tuple[Found, float, str]:
        """Play the mix while it happens; return what was found, when it was back, the verdict."""
        directory.mkdir()
        many = REVOCATIONS_A_SECOND * REVOKING_SECONDS
        # Nobody is revoked twice: the log says since when.
        victims = set(range(self.revoked, self.revoked + many))
        self.revoked += many
        played = Played(directory, self.asker, count=self.count, victims=victims, sample=SAMPLE)
        ended = threading.Event()
        found: list[Found] = []

        def play() -> None:
            while not ended.is_set() or not found:
                record = directory / f"record-{len(found)}"
                found.append(
                    load(
                        self.service.http_port,
                        played.requests,
                        seconds=3,
                        connections=16,
                        record=record,
                    )
                )

        playing = threading.Thread(target=play)
        playing.start()
        try:
            with revoking(self.state, played, rate=REVOCATIONS_A_SECOND) as begin:
                if fault.revoking:
                    begin()
                fault.happens()
                back = self._wait()
                if not fault.revoking:
                    begin()
            time.sleep(1.5)
        finally:
            ended.set()
            playing.join()
        self.log += played.log.read_text()
        played.log.write_text(self.log)
        with played.record.open("wb") as whole:
            for number in range(len(found)):
                whole.write((directory / f"record-{number}").read_bytes())
        return _sum(found), back, played.verify(bound_ms)

    def _wait(self) -> float:
        """Wait for an answer that was signed now; how long that took."""
        began = time.monotonic()
        while time.monotonic() < began + _BACK_SECONDS:
            with contextlib.suppress(OSError, HTTPException, ValueError):
                nonce = secrets.token_bytes(16)
                question = Question(serial(self.count - 1), Method.POST, nonce)
                octets = self._post(self.asker.request(question))
                status = ocsp.load_der_ocsp_response(octets).response_status
                if status is ocsp.OCSPResponseStatus.SUCCESSFUL and nonce in octets:
                    return time.monotonic() - began
            time.sleep(0.1)
        raise RuntimeError(f"the service did not come back in {_BACK_SECONDS} s")

    def _post(self, octets: bytes) -> bytes:
        with contextlib.closing(
            HTTPConnection("127.0.0.1", self.service.http_port, timeout=10)
        ) as connection:
            connection.request("POST", "/ocsp", octets)
            return connection.getresponse().read()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--certificates", type=int, default=5000)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--first", type=int, default=0, help="the fault to begin with")
    parser.add_argument("--bound", type=int, default=1000, help="ms after which good is wrong")
    chosen = parser.parse_args()
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(_disk())
        server = None
        if chosen.database == "postgresql":
            server = stack.enter_context(postgres.running())
            os.environ["YINXIN_DATABASE__URL"] = server.url
        soak = Soak(directory, chosen.certificates, server)
        stack.callback(soak.service.end)
        soak.service.start()
        until = time.monotonic() + 60 * chosen.minutes
        print("| what | answers | not answered | back s | verdict |\n|---|---|---|---|---|")
        number = chosen.first
        faults = soak.faults()
        while time.monotonic() < until and soak.revoked < soak.count // 2:
            fault = faults[number % len(faults)]
            found, back, verdict = soak.round(fault, directory / str(number), chosen.bound)
            print(
                f"| {fault.name} | {found.requests} | {found.bad} | {back:.1f} | {verdict} |",
                flush=True,
            )
            number += 1


def _threads(pid: int) -> int:
    """Return how many threads a process has: a worker has hardly any."""
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def _sum(found: list[Found]) -> Found:
    return Found(
        sum(one.requests for one in found),
        sum(one.seconds for one in found),
        sum(one.bad for one in found),
        *(max(getattr(one, name) for one in found) for name in ("p50_ms", "p99_ms", "maximum_ms")),
    )


def _token(directory: Path) -> Path:
    """Make a token for the responder's key, and tell of it all that is started from here."""
    tokens, configuration = directory / "tokens", directory / "softhsm2.conf"
    tokens.mkdir()
    configuration.write_text(f"directories.tokendir = {tokens}\nlog.level = ERROR\n")
    reference = f"pkcs11:token={softhsm.LABEL};object={{name}}"
    os.environ |= {
        "SOFTHSM2_CONF": str(configuration),
        "YINXIN_PKCS11_PIN": softhsm.PIN,
        "YINXIN_KEYSTORE__PKCS11__MODULE": f'"{softhsm.module()}"',
        "YINXIN_KEYSTORE__PKCS11__TOKEN": f'"{softhsm.LABEL}"',
        "YINXIN_REVOCATION__OCSP__SIGNER_KEY_OF": f'{{{ISSUER} = "{reference}"}}',
    }
    softhsm.initialise()
    return tokens


@contextlib.contextmanager
def _standing(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def _disk() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        disk = Path(name) / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", str(disk)], check=True)
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", "--lazy", str(disk)], check=True)


if __name__ == "__main__":
    main()
