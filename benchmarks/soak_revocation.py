"""OCSP while things break: no wrong answer, and it goes on without hands.

    apt-get install libfaketime
    PYTHONPATH=. .venv/bin/python benchmarks/soak_revocation.py [ROUNDS] [SECONDS] [CERTIFICATES]

As root: the state directory lies on a small file system of its own, so that it can be filled. In
each round the mix of `benchmarks.ocsp` plays while another process revokes, and one thing happens:
a worker is killed, a worker stops for two seconds, all is killed and started again, the disk is
full, the clock goes an hour back and forth. Then Go's x/crypto/ocsp judges every answer against
the log of revocations. Prints a Markdown table; a wrong answer ends it with an error.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.ocsp.load import Found, load
from benchmarks.ocsp.mix import Played, revoking
from benchmarks.ocsp.population import populate
from benchmarks.ocsp.processes import family
from benchmarks.ocsp.questions import Asker
from tests.service import Service

BOUND_MS = 1000
REVOCATIONS_A_SECOND = 20
_FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


class Soak:
    """One service, and what can happen to it."""

    def __init__(self, directory: Path, count: int) -> None:
        self.state = directory / "disk/var"
        self.clock = directory / "clock"
        self.clock.write_text("+0\n")
        self.count = count
        self.revoked = 0
        self.log = ""
        self.issuer = populate(self.state, count)
        self.service = Service(
            self.state,
            {
                "YINXIN_REVOCATION__OCSP__WORKERS": "2",
                "LD_PRELOAD": _FAKETIME,
                "FAKETIME_TIMESTAMP_FILE": str(self.clock),
                "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            },
            patience_seconds=600,
            fresh=True,
        )

    def kill_a_worker(self) -> None:
        os.kill(self._worker(), signal.SIGKILL)

    def stop_a_worker(self) -> None:
        worker = self._worker()
        os.kill(worker, signal.SIGSTOP)
        time.sleep(2)
        os.kill(worker, signal.SIGCONT)

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
        time.sleep(2)
        filler.unlink()

    def turn_the_clock(self) -> None:
        # Back, where nothing may be signed, and to the present: a machine that slept and woke.
        self.clock.write_text("-1h\n")
        time.sleep(2)
        self.clock.write_text("+0\n")

    def _worker(self) -> int:
        return secrets.choice(family(self.service.pid)[1:])

    def round(
        self, happens: Callable[[], None], seconds: int, directory: Path
    ) -> tuple[Found, str]:
        """Play the mix while `happens` does; return what was found, and the verdict."""
        directory.mkdir()
        # A full disk is no place for a revocation, so nobody revokes meanwhile.
        rate = 0 if happens == self.fill_the_disk else REVOCATIONS_A_SECOND
        many = REVOCATIONS_A_SECOND * seconds
        # Nobody is revoked twice: the log says since when.
        victims = set(range(self.revoked, self.revoked + many))
        played = Played(directory, Asker(self.issuer), count=self.count, victims=victims)
        played.log.write_text("")
        act = threading.Timer(seconds / 3, happens)
        with contextlib.ExitStack() as stack:
            if rate:
                stack.enter_context(revoking(self.state, played, rate=rate))()
            act.start()
            found = load(
                self.service.http_port,
                played.requests,
                seconds=seconds + 3,
                connections=16,
                record=played.record,
            )
        act.join()
        if rate:
            self.revoked += many
        self.log += played.log.read_text()
        played.log.write_text(self.log)
        return found, played.verify(BOUND_MS)


def main() -> None:
    rounds, seconds, count = (int(word) for word in [*sys.argv[1:], "5", "9", "5000"][:3])
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(_disk())
        soak = Soak(directory, count)
        stack.callback(soak.service.end)
        soak.service.start()
        acts = (
            soak.kill_a_worker,
            soak.stop_a_worker,
            soak.kill_everything,
            soak.fill_the_disk,
            soak.turn_the_clock,
        )
        print("| what | answers/s | not answered | verdict |\n|---|---|---|---|")
        for number in range(rounds):
            act = acts[number % len(acts)]
            found, verdict = soak.round(act, seconds, directory / str(number))
            name = act.__name__.replace("_", " ")
            print(f"| {name} | {found.rate:.0f} | {found.bad} | {verdict} |", flush=True)


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
