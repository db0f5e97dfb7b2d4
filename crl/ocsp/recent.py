"""Requests that came before, octet by octet, and what the store said to them then."""

from __future__ import annotations

from typing import Final

MAX_RECENT: Final = 16_384
"""How many a process remembers: about 25 MiB."""
MAX_RECENT_OCTETS: Final = 1024
FULL_SECONDS: Final = 60
"""How long it may be full before it begins anew."""
_NOWHERE: Final = -1


class RecentRequest:
    """One simple request as a client wrote it, and the answer that was found last.

    The answer holds only at the state of the store that it was found in, and from `begin` until
    before `end` (seconds since 1970): otherwise it is looked for again. It is no source of truth.
    """

    __slots__ = ("begin", "close", "count", "end", "key", "octets", "rest", "state", "tail")

    def __init__(self, key: bytes, octets: bytes, *, close: bool) -> None:
        self.key = key
        """Of the answer in the store."""
        self.octets = octets
        """The OCSPRequest, DER."""
        self.close = close
        """The connection ends with the answer."""
        self.rest = b""
        """HTTP fields and body, but for the responder's certificate."""
        self.count = 0
        """Where an answer like it is counted (`crl.ocsp.tally`)."""
        self.tail = b""
        """The responder's certificate, as the body ends with it."""
        self.state = _NOWHERE
        """`StatusStore.state` before the answer was read."""
        self.begin = self.end = 0

    def forget(self) -> None:
        """Look the answer up at the next request."""
        self.state = _NOWHERE


class RecentRequests(dict[bytes, RecentRequest]):
    """Bounded: while it is full, nothing more is remembered; now and then it begins anew.

    To replace the old by the new at each request would cost more than it saves.
    """

    def __init__(self) -> None:
        super().__init__()
        self._age = 0

    def keep(self, data: bytes, recent: RecentRequest) -> None:
        """Remember a request if there is room; not one that is longer than clients write them."""
        if len(self) < MAX_RECENT and len(data) <= MAX_RECENT_OCTETS:
            self[data] = recent

    def age(self) -> None:
        """To be called every second."""
        self._age += 1
        if len(self) >= MAX_RECENT and self._age >= FULL_SECONDS:
            self.clear()
            self._age = 0
