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

from benchmarks.ocsp.load import Found, answers, load
from benchmarks.ocsp.population import serial
from benchmarks.ocsp.questions import Asker, Method, Question, write_requests
from ca.serials import to_hex
from tests.judges import gmsm

SAMPLE = 200_000
REVOCATIONS_A_SECOND = 100
_UNKNOWN, _POST, _NONCE, _REVOKED = 0.10, 0.10, 0.05, 0.10


@dataclass(frozen=True, slots=True)
class Waits:
    """How long the answers to one kind of question took."""

    count: int
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Mix:
    """What was found under the mix, and what its verifier said."""

    found: Found
    quiet: Found
    """The same without unknown, POST, nonces and revocations, just before."""
    verdict: str
    revocations: int
    revocations_seconds: float
    waits: dict[str, Waits]
    """By kind of question."""


def run_mix(
    state: Path, directory: Path, issuer: bytes, *, count: int, port: int, seconds: int, bound: int
) -> Mix:
    """Play the mix against a server of `state` and verify every answer. `bound` is in ms.

    Raises `CalledProcessError`, after printing what is wrong, when there is a wrong answer.
    """
    asker = Asker(issuer)
    many = seconds * REVOCATIONS_A_SECOND
    played = Played(
        directory, asker, count=count, victims={secrets.randbelow(count) for _ in range(many)}
    )
    plain = [Question(serial(n)) for n in _some(count, SAMPLE)]
    quiet = write_requests(directory / "plain", (asker.over_http(q) for q in plain))
    with revoking(state, played, rate=REVOCATIONS_A_SECOND) as begin:
        before = load(port, quiet, seconds=seconds)
        begin()
        found = load(port, played.requests, seconds=seconds + 2, record=played.record)
    verdict = played.verify(bound)
    waits = played.waits()
    done = [
        [int(word) for word in line.split()[1:]] for line in played.log.read_text().splitlines()
    ]
    spent = (done[-1][1] - done[0][0]) / 1e9
    return Mix(found, before, verdict, len(done), spent, waits)


class Played:
    """Requests of the mix, what is known of them, and what is recorded of their answers."""

    def __init__(
        self, directory: Path, asker: Asker, *, count: int, victims: set[int], sample: int = SAMPLE
    ) -> None:
        """Write all files into `directory`; of `count` certificates the `victims` get revoked."""
        self._directory = directory
        self.log, self.record = directory / "log", directory / "record"
        self.victims = directory / "victims"
        chosen = [serial(n) for n in victims]
        mixed = list(_questions(count, chosen, sample))
        self.requests = write_requests(directory / "mix", (asker.over_http(q) for q in mixed))
        known = {serial(n) for n in range(count)}
        self._questions = mixed
        self._kinds = [
            "nonce" if one.nonce else "stored" if one.serial in known else "unknown"
            for one in mixed
        ]
        with (directory / "questions").open("w") as lines:
            for question in mixed:
                word = "known" if question.serial in known else "unknown"
                nonce = question.nonce.hex() or "-"
                lines.write(f"{word} {asker.cert_id(question.serial).hex()} {nonce}\n")
        self.victims.write_text("\n".join(map(to_hex, chosen)))
        (directory / "issuer").write_bytes(asker.issuer)

    def waits(self) -> dict[str, Waits]:
        """Return how long answers took, by kind of question.

        *Revoked first*: the first question about a certificate after its revocation was done, which
        has to be signed. With a nonce are all that ask so, whether it was repeated or left out.
        """
        ended: dict[int, int] = {}
        for line in self.log.read_text().splitlines():
            number, _, after = line.split()
            ended[int(number, 16)] = int(after)
        found: dict[str, list[int]] = {}
        for answer in sorted(answers(self.record), key=lambda one: one.sent):
            kind, asked = self._kinds[answer.number], self._questions[answer.number].serial
            if kind == "stored" and ended.get(asked, answer.sent) < answer.sent:
                del ended[asked]
                kind = "revoked first"
            found.setdefault(kind, []).append(answer.received - answer.sent)
        return {kind: _waits(sorted(some)) for kind, some in sorted(found.items())}

    def verify(self, bound: int) -> str:
        """Return what the judge counted. Raises `CalledProcessError` for a wrong answer."""
        words = [self._directory / "issuer", self._directory / "questions", self.record, self.log]
        verdict = subprocess.run(
            [gmsm.binary(), "ocsp-answers", *map(str, words), str(bound)],
            check=False,
            capture_output=True,
            text=True,
        )
        if verdict.returncode != 0:
            print(verdict.stdout)
            verdict.check_returncode()
        return verdict.stdout.strip()


@contextmanager
def revoking(state: Path, played: Played, *, rate: int) -> Iterator[Callable[[], None]]:
    """Have a process ready that revokes; give what makes it begin, and wait for its end."""
    words = [str(state), str(played.victims), str(played.log), str(rate)]
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

    try:
        yield begin
    except BaseException:
        revoker.kill()
        raise
    finally:
        told.close()
        code = revoker.wait()
        says.close()
    if code != 0:
        raise RuntimeError("the revoker failed")


def _waits(nanoseconds: list[int]) -> Waits:
    count = len(nanoseconds)
    p50, p99 = (nanoseconds[count * part // 100] / 1e6 for part in (50, 99))
    return Waits(count, p50, p99)


def _some(count: int, many: int) -> list[int]:
    return [secrets.randbelow(count) for _ in range(many)]


def _questions(count: int, victims: list[int], sample: int) -> Iterator[Question]:
    for _ in range(sample):
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
