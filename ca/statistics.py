"""Statistics (统计): counts of certificates by branch, profile, state and month.

A branch is an organisation directly below the one asked about, with all below it; what is
directly under the one asked about is counted there. The counts of all rows therefore add up.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Protocol

from typing_extensions import override

from core.errors import Malformed

MAX_MONTHS: Final = 120
MONTHS_BACK: Final = 11
MONTHS_AHEAD: Final = 12


class Measure(StrEnum):
    """What is counted."""

    STATE = "state"
    """Certificates by the state they are in now; the months do not matter."""
    ISSUED = "issued"
    """Issued in that month, whatever became of them."""
    REVOKED = "revoked"
    """Revoked in that month. A hold is none."""
    EXPIRING = "expiring"
    """Ending in that month, neither revoked nor failed."""


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A month in UTC."""

    year: int
    month: int

    @property
    def begin(self) -> datetime:
        """Return its first moment."""
        return datetime(self.year, self.month, 1, tzinfo=UTC)

    def plus(self, months: int) -> Month:
        """Return the month that many later, or earlier."""
        total = self.year * 12 + self.month - 1 + months
        return Month(total // 12, total % 12 + 1)

    @override
    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"


@dataclass(frozen=True, slots=True)
class StatisticsQuery:
    """What to count: one organisation with its subtree, over some months."""

    organisation: str
    first: Month
    last: Month
    profile: str | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """One line."""

    organisation: str
    """The branch."""
    name: str
    profile: str
    measure: Measure
    state: str | None
    """Of `STATE`: ``issued`` (and valid), ``expired``, ``held``, ``revoked`` …"""
    month: str | None
    """``2026-11``; None of `STATE`."""
    count: int


class StatisticsSource(Protocol):
    """Counts, in the database."""

    def count(self, query: StatisticsQuery, *, now: datetime) -> Sequence[Count]:
        """Return the lines, by branch, profile, measure, state and month."""
        ...


def parse_month(text: str) -> Month:
    """Read ``2026-11``. Raises `Malformed`."""
    found = re.fullmatch(r"(20[0-9]{2}|21[0-9]{2})-(0[1-9]|1[0-2])", text, re.ASCII)
    if found is None:
        raise Malformed("a month is written like 2026-11")
    return Month(int(found[1]), int(found[2]))


def period(first: str | None, last: str | None, *, now: datetime) -> tuple[Month, Month]:
    """Return the months asked for; by default the last twelve and the next twelve.

    Raises `Malformed` for more than ten years, or none.
    """
    present = Month(now.year, now.month)
    begin = present.plus(-MONTHS_BACK) if first is None else parse_month(first)
    end = present.plus(MONTHS_AHEAD) if last is None else parse_month(last)
    if not begin <= end < begin.plus(MAX_MONTHS):
        raise Malformed(f"from {begin} to {end}: the period has 1 to {MAX_MONTHS} months")
    return begin, end
