"""Requests that came before, octet by octet, and what the store said to them then."""

from __future__ import annotations

from typing import Final, NamedTuple

MAX_RECENT: Final = 16_384
"""How many a process remembers: about 25 MiB."""
MAX_RECENT_OCTETS: Final = 1024
FULL_SECONDS: Final = 60
"""How long it may be full before it begins anew."""


class RecentAnswer(NamedTuple):
    """What the store said to one simple request, as a client wrote it.

    It holds only at the state of the store that it was found in, and from `begin` until before
    `end` (seconds since 1970): otherwise it is looked for again. It is no source of truth.
    """

    state: int
    """`StatusStore.state` when the answer was read."""
    begin: int
    end: int
    place: int
    """Where an answer like it is counted (`crl.ocsp.tally`)."""
    close: bool
    """The connection ends with the answer."""
    rest: bytes
    """HTTP fields and body, but for the responder's certificate."""
    tail: bytes
    """The responder's certificate, as the body ends with it."""


class RecentAnswers(dict[bytes, RecentAnswer]):
    """Bounded: while it is full, nothing more is remembered; now and then it begins anew.

    To replace the old by the new at each request would cost more than it saves.
    """

    def __init__(self) -> None:
        super().__init__()
        self._age = 0

    def takes(self, data: bytes) -> bool:
        """Whether there is room for a request; there is none for longer ones than clients write."""
        return (len(self) < MAX_RECENT or data in self) and len(data) <= MAX_RECENT_OCTETS

    def age(self) -> None:
        """To be called every second."""
        self._age += 1
        if len(self) >= MAX_RECENT and self._age >= FULL_SECONDS:
            self.clear()
            self._age = 0
