"""The overview (概览): how many certificates hold, and how many end soon.

Counting reads an entry of an index for each certificate, so what was counted serves everybody
who may see the same branches for a minute.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from core.clock import Clock

HORIZONS: Final = (7, 30, 90)
"""Days ahead in which certificates are said to end."""
_FRESH: Final = timedelta(minutes=1)
_KEPT: Final = 256
"""Sets of branches: as many as there are operators with rights of their own, at most."""

Scope = frozenset[str] | None
"""Organisations with all below them; None: everything."""


@dataclass(frozen=True, slots=True)
class Overview:
    """Counts at one moment."""

    at: datetime
    valid: int
    """Issued and not ended."""
    held: int
    revoked: int
    expired: int
    """Ended without having been revoked."""
    expiring: Mapping[int, int]
    """Of those valid or held: by `HORIZONS`, how many end within so many days."""


class OverviewSource(Protocol):
    """What counts."""

    def overview(self, scope: Scope, *, now: datetime) -> Overview:
        """Count the certificates of some branches."""
        ...


class Overviews:
    """Counts at most once a minute for the same branches. Safe to share between threads."""

    def __init__(self, source: OverviewSource, *, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._known: OrderedDict[Scope, Overview] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, scope: Scope) -> Overview:
        """Return the counts, at most a minute old; `Overview.at` says of when."""
        now = self._clock.now()
        with self._lock:
            known = self._known.get(scope)
        if known is not None and known.at <= now < known.at + _FRESH:
            return known
        counted = self._source.overview(scope, now=now)
        with self._lock:
            self._known[scope] = counted
            self._known.move_to_end(scope)
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return counted
