"""What a check says: how bad it is, about what, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Generic, TypeVar

from core.errors import TrustError

T = TypeVar("T")


class Level(IntEnum):
    """How bad it is. The numbers are the exit codes that monitoring knows."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3
    """The check itself could not be made."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong."""

    level: Level
    says: str


@dataclass(frozen=True, slots=True)
class Check(Generic[T]):
    """One thing to look at, with the remedy for everything it can find."""

    name: str
    looks_at: str
    remedy: str
    look: Callable[[T], Sequence[Fault]]
    """Returns what is wrong; nothing when all is well."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    check: str
    level: Level
    says: str
    remedy: str | None
    """None when there is nothing to do."""


def look(check: Check[T], at: T) -> Finding:
    """Make one check. What it cannot find out is `UNKNOWN`, and says why."""
    try:
        faults = check.look(at)
    except TrustError as error:
        return Finding(check.name, Level.UNKNOWN, str(error), check.remedy)
    if not faults:
        return Finding(check.name, Level.OK, "as it should be", None)
    worst = max(fault.level for fault in faults)
    return Finding(check.name, worst, "; ".join(fault.says for fault in faults), check.remedy)


def worst_of(findings: Sequence[Finding]) -> Level:
    """Return the level of the whole: something critical outweighs what is unknown."""
    levels = {finding.level for finding in findings}
    order = (Level.CRITICAL, Level.UNKNOWN, Level.WARNING)
    return next((level for level in order if level in levels), Level.OK)
