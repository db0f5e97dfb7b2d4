"""One page of memory that all processes of a host share: is the store to be believed, and counts.

It is not the truth about any status; it says when the truth was last heard.
"""

from __future__ import annotations

import mmap
import os
import time
from enum import IntEnum
from operator import add
from pathlib import Path
from struct import Struct
from typing import Final

from crl.ocsp.tally import LENGTH, MAX_ISSUERS

_HEARD: Final = Struct("=dB")
_SETTLED: Final = _HEARD.size
_OLDEST: Final = Struct("=Q")
_OLDEST_BEGIN: Final = 16
_COUNTS_BEGIN: Final = 64
_COUNTS: Final = Struct(f"={LENGTH}Q")
MAX_WORKERS: Final = 64


class Trust(IntEnum):
    """Whether answers in the store may be given."""

    BELIEVED = 0
    DISTRUSTED = 1
    """A change is known that could not be written into the store: no answer may be given."""
    DIVERGED = 2
    """The database is of another history: what the store knows holds, and nothing is followed."""


_DISTRUSTED: Final = Trust.DISTRUSTED.value
_WAITING: Final = Struct("=H")
_WAITING_BEGIN: Final = _COUNTS_BEGIN + _COUNTS.size * (MAX_WORKERS + 1)
_SIZE: Final = _WAITING_BEGIN + _WAITING.size * (MAX_ISSUERS + 1)


class Pulse:
    """The page. Each number has one writer; readers may see the one before."""

    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.truncate(descriptor, max(_SIZE, os.fstat(descriptor).st_size))
            self._page = mmap.mmap(descriptor, _SIZE)
        finally:
            os.close(descriptor)

    def restart(self) -> None:
        """Begin anew: the log was not heard yet. For the process that writes the store."""
        self._page[:] = bytes(_SIZE)

    def hear(self, at: float) -> None:
        """Note that the log was read to its end, beginning at this moment of the steady clock."""
        _HEARD.pack_into(self._page, 0, at, Trust.BELIEVED)

    def doubt(self, trust: Trust) -> None:
        """Note that the store is not to be believed, or not to be followed."""
        self._page[8] = trust

    def settle(self) -> None:
        """Note that the log was read, or that it cannot be read, since the writer began."""
        self._page[_SETTLED] = 1

    @property
    def settled(self) -> bool:
        """Whether more is not to be waited for: what is in the store is what can be known."""
        return bool(self._page[_SETTLED])

    @property
    def trust(self) -> Trust:
        """What the writer noted last."""
        return Trust(self._page[8])

    @property
    def distrusted(self) -> bool:
        """Whether no answer of the store may be given. Cheap: asked for each request."""
        return self._page[8] == _DISTRUSTED

    def age_seconds(self) -> float:
        """Return how long ago the log was read to its end; infinite before the first time."""
        at = _HEARD.unpack_from(self._page)[0]
        return elapsed() - at if at else float("inf")

    def note_oldest(self, at: int) -> None:
        """Note when the oldest stored answer that holds was signed, in Unix seconds; 0: none."""
        _OLDEST.pack_into(self._page, _OLDEST_BEGIN, at)

    @property
    def oldest(self) -> int:
        """What was noted last."""
        return int(_OLDEST.unpack_from(self._page, _OLDEST_BEGIN)[0])

    def note_waiting(self, issuer: int, number: int) -> None:
        """Note how many answers of an issuer, by its number, wait for a signature."""
        if issuer <= MAX_ISSUERS:
            _WAITING.pack_into(self._page, _WAITING_BEGIN + issuer * _WAITING.size, number)

    def waiting(self, issuer: int) -> int:
        """Return what was noted last of an issuer; 0 for those above `MAX_ISSUERS`."""
        if issuer > MAX_ISSUERS:
            return 0
        return int(_WAITING.unpack_from(self._page, _WAITING_BEGIN + issuer * _WAITING.size)[0])

    def count(self, slot: int, counts: list[int]) -> None:
        """Publish the counts of one process (`crl.ocsp.tally`)."""
        _COUNTS.pack_into(self._page, _COUNTS_BEGIN + slot * _COUNTS.size, *counts)

    def counts_of(self, slot: int) -> list[int]:
        """Return what one process counted: the next one in its place goes on from there."""
        return list(_COUNTS.unpack_from(self._page, _COUNTS_BEGIN + slot * _COUNTS.size))

    def counts(self) -> list[int]:
        """Return the counts of all processes together."""
        counts = [0] * LENGTH
        for slot in range(MAX_WORKERS + 1):
            begin = _COUNTS_BEGIN + slot * _COUNTS.size
            if self._page[begin : begin + _COUNTS.size].strip(b"\0"):
                counts = [*map(add, counts, self.counts_of(slot))]
        return counts


def elapsed() -> float:
    """Return seconds that never go backwards and are the same in every process of the host."""
    return time.monotonic()
