"""The only module that asks the time."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Return the present, aware, in UTC, cut to whole seconds."""
        ...


class SystemClock:
    """The clock of the machine. Within one second it returns one object: it is asked for often."""

    def __init__(self) -> None:
        self._last = (0, datetime.fromtimestamp(0, UTC))

    def now(self) -> datetime:
        second = int(time.time())
        last = self._last
        if last[0] != second:
            last = self._last = (second, datetime.fromtimestamp(second, UTC))
        return last[1]
