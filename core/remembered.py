"""Remembering what was just read, for as long as it can hardly have changed.

What every request asks (whose token is this, what may they do) is asked of the database once in a
while and not each time. What this process commits is seen at once; what another one commits, at
most `SECONDS` later: then everything is read again, or one look tells that nothing changed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True)
class _Page(Generic[K, V]):
    """What was read since `begun`, while `version` was in force."""

    version: object
    begun: float
    counted: int | None = None
    """What `Remembered` was told of other processes, before anything here was read."""
    known: dict[K, V] = field(default_factory=dict)


class Remembered(Generic[K, V]):
    """Answers of `read`, at most `most` at a time. Safe to share between threads.

    `version` changes with every write of this process to what `read` reads (`core.db.Database.
    version`). None: the thread is in a transaction, which sees its own writes and nothing else.
    `counted` changes with every write of any process (`core.versions.read_version`): while it does
    not, everything is kept. None: that is not known.
    """

    def __init__(
        self,
        read: Callable[[K], V],
        version: Callable[[], object | None],
        *,
        counted: Callable[[], int | None] | None = None,
        most: int = 1000,
    ) -> None:
        self._read = read
        self._version = version
        self._counted = counted
        self._most = most
        self._reading = threading.Lock()
        self._looking = threading.Lock()
        self._page: _Page[K, V] = _Page(None, 0.0)

    def get(self, key: K) -> V:
        """Return what `read` returns, or returned a moment ago. What it raises is not kept."""
        page = self._present() or self._begun()
        if page is None:
            return self._read(key)
        try:
            return page.known[key]
        except KeyError:
            pass
        with self._reading:  # so that what many threads miss at once is read once
            if key in page.known:
                return page.known[key]
            # Into the page of before: what is read while another thread commits is forgotten.
            value = self._read(key)
            if len(page.known) < self._most:
                page.known[key] = value
            return value

    def recall(self, key: K) -> V | None:
        """Return what is remembered, without reading: never waits."""
        page = self._present()
        return None if page is None else page.known.get(key)

    def _present(self) -> _Page[K, V] | None:
        """Return the page that stands, if one does."""
        page = self._page
        fresh = time.monotonic() - page.begun < SECONDS
        return page if fresh and page.version == self._version() else None

    def _begun(self) -> _Page[K, V] | None:
        """Begin a page, or have the one before stand a while more; None in a transaction."""
        if self._counted is None:
            return self._begin(None)
        with self._looking:  # one look for all
            page = self._present()
            return page or self._begin(self._counted)

    def _begin(self, count: Callable[[], int | None] | None) -> _Page[K, V] | None:
        version = self._version()
        if version is None:
            return None
        now, before = time.monotonic(), self._page
        counted = None if count is None else count()
        same = counted is not None and (before.version, before.counted) == (version, counted)
        known = before.known if same else {}
        page = self._page = _Page(version, now, counted, known)
        return page
