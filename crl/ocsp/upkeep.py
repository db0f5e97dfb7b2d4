"""Upkeep of the local store: room that nobody needs any more is given back, a portion at a time."""

from __future__ import annotations

from typing import Final

from prometheus_client import Gauge

from core.clock import Clock
from crl.ocsp.store import StatusStore

EVERY_SECONDS: Final = 60.0
_PORTION: Final = 5_000
_PORTIONS: Final = 20
"""100,000 answers a minute, a third of a second of work: ten million in 100 minutes."""

_OLDEST = Gauge(
    "yinxin_ocsp_oldest_answer_timestamp_seconds",
    "When the oldest stored OCSP answer that still holds was signed, as of the last round.",
)


class Upkeep:
    """Goes round the stored answers without end. For one thread of the process that writes."""

    def __init__(self, store: StatusStore, clock: Clock) -> None:
        self._store = store
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
                _OLDEST.set(self._oldest or 0)
                self._oldest = None
                return
