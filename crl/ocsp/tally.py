"""What each process of a host counts of its answers, as places in one list of numbers.

Answers are counted by issuer, by what they say, and by whether they came from the store; refusals
by what they say. The places are known before a request comes, so that counting is one addition.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from crl.status import Status


class Count(IntEnum):
    """The places of refusals."""

    MALFORMED_REQUEST = 0
    INTERNAL_ERROR = 1
    TRY_LATER = 2
    UNAUTHORIZED = 3


SAID: Final = (Status.GOOD, Status.UNKNOWN, Status.REVOKED)
"""What an answer says, by number. Of several certificates the last of these that one has."""

MAX_ISSUERS: Final = 255
"""Issuers with a higher number in the store than this are counted together, as number 0."""

_BEGIN: Final = len(Count)
_OF_ISSUER: Final = 2 * len(SAID)
_STORED: Final = _BEGIN + 1
LENGTH: Final = _BEGIN + (MAX_ISSUERS + 1) * _OF_ISSUER


class Answers(NamedTuple):
    """Answers of one kind."""

    issuer: int
    """Its number in the store; 0: one of those above `MAX_ISSUERS`."""
    status: Status
    stored: bool
    """From the store, and not signed for who asked."""
    number: int


def said_by(statuses: Iterable[Status]) -> int:
    """Return what an answer about certificates of these statuses says, as a number of `SAID`."""
    return max(SAID.index(one) for one in statuses)


def place_of(issuer: int, said: int, *, stored: bool) -> int:
    """Return where such an answer is counted."""
    number = issuer if issuer <= MAX_ISSUERS else 0
    return _BEGIN + number * _OF_ISSUER + 2 * said + stored


def stored_place(key: bytes, said: int) -> int:
    """Return `place_of` an answer that the store has under `key`: once for each request."""
    number = key[0] << 8 | key[1]
    return _STORED + (number * _OF_ISSUER if number <= MAX_ISSUERS else 0) + 2 * said


def answers_in(counts: Sequence[int]) -> Iterator[Answers]:
    """Return every kind that occurred."""
    for place, count in enumerate(counts[_BEGIN:]):
        if count:
            issuer, kind = divmod(place, _OF_ISSUER)
            yield Answers(issuer, SAID[kind // 2], bool(kind % 2), count)
