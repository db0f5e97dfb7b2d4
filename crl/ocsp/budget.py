"""How many signatures a second strangers may cause."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock


class Budget:
    """A token bucket that holds one second's worth. Safe to share between threads.

    `elapsed` tells seconds that never go backwards.
    """

    def __init__(self, per_second: int, *, elapsed: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._elapsed = elapsed
        self._lock = Lock()
        self._left = float(per_second)
        self._at = elapsed()

    def take(self) -> bool:
        """Spend one, if one is left."""
        with self._lock:
            now = self._elapsed()
            earned = (now - self._at) * self._per_second
            self._left = min(float(self._per_second), self._left + earned)
            self._at = now
            if self._left < 1:
                return False
            self._left -= 1
            return True
