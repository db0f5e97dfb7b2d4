"""How much this host was asked in the last day, minute by minute, from its processes' counters."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from core.clock import Clock
from yinxin.metrics import value

EVERY_SECONDS: Final = 60
_KEPT: Final = 24 * 60
_COUNTERS: Final = (
    "yinxin_certificates_issued_total",
    "yinxin_logins_total",
    "yinxin_ocsp_answers_total",
)


@dataclass(frozen=True, slots=True)
class Minute:
    """What happened between the sample before and this one."""

    at: datetime
    issued: int
    logins: int
    """Attempts, good and bad."""
    ocsp: int
    """Answers of every process of this host; other nodes count for themselves."""


class Traffic:
    """Keeps one sample a minute for a day, in memory: it begins anew with the process."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._minutes: deque[Minute] = deque(maxlen=_KEPT)
        self._lock = threading.Lock()
        self._last = _totals()

    def sample(self) -> None:
        """Take a sample. To be called once a minute."""
        totals = _totals()
        with self._lock:
            grown = [now - before for now, before in zip(totals, self._last, strict=True)]
            self._minutes.append(Minute(self._clock.now(), *grown))
            self._last = totals

    def minutes(self) -> tuple[Minute, ...]:
        """Return the samples, oldest first."""
        with self._lock:
            return tuple(self._minutes)


def _totals() -> tuple[int, ...]:
    return tuple(int(value(name)) for name in _COUNTERS)
