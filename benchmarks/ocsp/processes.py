"""What a server cost: processor time and memory of its processes."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """Return a process and all below it."""
    found = [pid]
    for one in found:
        for children in Path(f"/proc/{one}/task").glob("*/children"):
            found += [int(word) for word in children.read_text().split()]
    return found


def pin(pid: int, processors: set[int]) -> None:
    """Let every thread of these processes run on these processors only."""
    for one in family(pid):
        for task in Path(f"/proc/{one}/task").iterdir():
            os.sched_setaffinity(int(task.name), processors)


def processor_seconds(pid: int) -> float:
    """Return the processor time of a process and all below it, user and system."""
    return sum(_processor_seconds(one) for one in family(pid))


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


@dataclass(frozen=True, slots=True)
class Memory:
    """Of one process, in MiB."""

    name: str
    resident: int
    """What it maps and has in memory, shared pages included."""
    own: int
    """Its share: pages that n processes map count as a n-th (proportional set size)."""


def memory(pid: int) -> list[Memory]:
    """Return the memory of a process and of each below it."""
    return [_memory(one) for one in family(pid)]


def _memory(pid: int) -> Memory:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    rss, pss = (
        int(re.findall(rf"^{name}: +(\d+)", text, re.MULTILINE)[0]) >> 10 for name in ("Rss", "Pss")
    )
    title = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return Memory(f"{pid} {title[-60:].strip()}", rss, pss)
