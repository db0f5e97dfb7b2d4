"""Upkeep of the local store: room that nobody needs any more is given back, a portion at a time."""

from __future__ import annotations

from typing import Final

from core.clock import Clock
from crl.ocsp.pulse import Pulse
from crl.ocsp.store import StatusStore

EVERY_SECONDS: Final = 60.0
_PORTION: Final = 5_000
_PORTIONS: Final = 20
"""100,000 answers a minute, a third of a second of work: ten million in 100 minutes."""


class Upkeep:
    """Goes round the stored answers without end. For one thread of the process that writes."""

    def __init__(self, store: StatusStore, pulse: Pulse, clock: Clock) -> None:
        self._store = store
        self._pulse = pulse
        self._clock = clock
        self._behind = b""
        self._oldest: int | None = None

    def run(self) -> None:
        """Do what is to be done every `EVERY_SECONDS`. Raises `Unavailable`."""
        self._store.tidy()
        for _ in range(_PORTIONS):
            now = int(self._clock.now().timestamp())
            self._behind, oldest = self._store.sweep(now, after=self._behind, most=_PORTION)
            if oldest is not None:
                self._oldest = min(self._oldest or oldest, oldest)
            if not self._behind:
                self._pulse.note_oldest(self._oldest or 0)
                self._oldest = None
                return
