"""The load tool `load.c`, compiled when it is first needed, and what it found."""

from __future__ import annotations

import struct
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CONNECTIONS = 64
_SOURCE = Path(__file__).with_name("load.c")
_ANSWER = struct.Struct("<IQQI")


@dataclass(frozen=True, slots=True)
class Found:
    """One run, by the clock of the load tool."""

    requests: int
    seconds: float
    bad: int
    """Not HTTP 200, or no answer."""
    p50_ms: float
    p99_ms: float
    maximum_ms: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


@dataclass(frozen=True, slots=True)
class Answer:
    """One recorded answer. Times are of CLOCK_MONOTONIC, ns."""

    number: int
    """Of the request in its file."""
    sent: int
    received: int
    body: bytes


def load(
    port: int,
    requests: Path,
    *,
    seconds: float,
    processors: str = "1",
    connections: int = CONNECTIONS,
    close: bool = False,
    record: Path | None = None,
) -> Found:
    """Play requests against a port, in random order for `seconds`; 0: each once, in order."""
    command = ["taskset", "-c", processors, str(_tool()), str(port), str(requests)]
    command += [str(connections), str(seconds), str(int(close)), "1"]
    command += [str(record)] if record else []
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    count, spent, bad, p50, p99, maximum = done.stdout.split()
    return Found(
        int(count), float(spent), int(bad), int(p50) / 1000, int(p99) / 1000, int(maximum) / 1000
    )


def answers(record: Path) -> Iterator[Answer]:
    """Read what `load` recorded."""
    with record.open("rb") as file:
        while head := file.read(_ANSWER.size):
            number, sent, received, length = _ANSWER.unpack(head)
            yield Answer(number, sent, received, file.read(length))


@cache
def _tool() -> Path:
    built = Path(tempfile.mkdtemp(prefix="yinxin-load-")) / "load"
    subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-o", str(built), str(_SOURCE)], check=True)
    return built
