"""The mix: unknown serial numbers, POST, nonces and revocations at once, and who was told what."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from benchmarks.ocsp.load import Found, load
from benchmarks.ocsp.population import serial
from benchmarks.ocsp.questions import Asker, Method, Question, write_requests
from ca.serials import to_hex
from tests.judges import gmsm

SAMPLE = 200_000
REVOCATIONS_A_SECOND = 100
_UNKNOWN, _POST, _NONCE, _REVOKED = 0.10, 0.10, 0.05, 0.10


@dataclass(frozen=True, slots=True)
class Mix:
    """What was found under the mix, and what its verifier said."""

    found: Found
    quiet: Found
    """The same without unknown, POST, nonces and revocations, just before."""
    verdict: str
    revocations: int
    revocations_seconds: float


def run_mix(
    state: Path, directory: Path, issuer: bytes, *, count: int, port: int, seconds: int, bound: int
) -> Mix:
    """Play the mix against a server of `state` and verify every answer. `bound` is in ms.

    Raises `CalledProcessError`, after printing what is wrong, when there is a wrong answer.
    """
    asker = Asker(issuer)
    victims = [serial(n) for n in set(_some(count, seconds * REVOCATIONS_A_SECOND))]
    mixed = list(_questions(count, victims))
    requests = write_requests(directory / "mix", (asker.over_http(q) for q in mixed))
    plain = [Question(serial(n)) for n in _some(count, SAMPLE)]
    quiet = write_requests(directory / "plain", (asker.over_http(q) for q in plain))
    known = {serial(n) for n in range(count)}
    with (directory / "questions").open("w") as lines:
        for question in mixed:
            word = "known" if question.serial in known else "unknown"
            nonce = question.nonce.hex() or "-"
            lines.write(f"{word} {asker.cert_id(question.serial).hex()} {nonce}\n")
    (directory / "victims").write_text("\n".join(map(to_hex, victims)))
    (directory / "issuer").write_bytes(issuer)
    log, record = directory / "log", directory / "record"
    with _revoking(state, directory / "victims", log) as begin:
        before = load(port, quiet, seconds=seconds)
        begin()
        found = load(port, requests, seconds=seconds + 2, record=record)
    done = [[int(word) for word in line.split()[1:]] for line in log.read_text().splitlines()]
    words = [directory / "issuer", directory / "questions", record, log, str(bound)]
    verdict = subprocess.run(
        [gmsm.binary(), "ocsp-answers", *map(str, words)],
        check=False,
        capture_output=True,
        text=True,
    )
    if verdict.returncode != 0:
        print(verdict.stdout)
        verdict.check_returncode()
    spent = (done[-1][1] - done[0][0]) / 1e9
    return Mix(found, before, verdict.stdout.strip(), len(done), spent)


@contextmanager
def _revoking(state: Path, victims: Path, log: Path) -> Iterator[Callable[[], None]]:
    """Have a process ready that revokes; give what makes it begin, and wait for its end."""
    words = [str(state), str(victims), str(log), str(REVOCATIONS_A_SECOND)]
    revoker = subprocess.Popen(
        ["taskset", "-c", "1", sys.executable, "-m", "benchmarks.ocsp.revoker", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    told, says = cast("IO[str]", revoker.stdin), cast("IO[str]", revoker.stdout)
    says.readline()

    def begin() -> None:
        told.write("go\n")
        told.flush()

    yield begin
    if revoker.wait() != 0:
        raise RuntimeError("the revoker failed")


def _some(count: int, many: int) -> list[int]:
    return [secrets.randbelow(count) for _ in range(many)]


def _questions(count: int, victims: list[int]) -> Iterator[Question]:
    for _ in range(SAMPLE):
        if _happens(_UNKNOWN):
            asked = serial(count + secrets.randbelow(1 << 40))
        elif _happens(_REVOKED):
            # Asked often, so that the moment of each revocation is seen.
            asked = secrets.choice(victims)
        else:
            asked = serial(secrets.randbelow(count))
        yield Question(
            asked,
            Method.POST if _happens(_POST) else Method.GET,
            secrets.token_bytes(16) if _happens(_NONCE) else b"",
        )


def _happens(share: float) -> bool:
    return secrets.randbelow(1_000_000) < share * 1_000_000
