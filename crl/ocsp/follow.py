"""Following the status log of the database into the local store."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from ca.store import StatusEntry, StatusLog
from core.errors import Conflict
from crl.ocsp.layout import Place
from crl.ocsp.pulse import Pulse, Trust, elapsed
from crl.ocsp.rebuild import rebuild
from crl.ocsp.store import StatusStore

log = logging.getLogger(__name__)

_PERIOD_SECONDS: Final = 0.25
_LOOK_SECONDS: Final = 1.0
"""A query at least so often, even if nothing seems to have been written: the log is the truth."""
_PORTION: Final = 5_000
_LONG: Final = 100_000
"""A log longer than this is sorted before an empty store is filled with it."""


class OtherHistory(Conflict):
    """The database does not have the entry of the log that this host applied last."""


def read_since(status_log: StatusLog, place: Place | None, *, limit: int) -> Sequence[StatusEntry]:
    """Return what the log has behind `place`. Raises `OtherHistory` if `place` is not in it."""
    if place is None:
        return status_log.read_log(since=0, limit=limit)
    entries = status_log.read_log(since=place.position, limit=limit)
    if not entries or Place(entries[0].position, entries[0].mark) != place:
        raise OtherHistory(_OTHER_HISTORY.format(place.position))
    return entries[1:]


class LogFollower:
    """Keeps the store of this host at the end of the log. Safe to share between threads.

    A change made in this process is followed by `after_change` before the change returns; one of
    another process by the thread, which looks four times a second, and sooner when it is woken.
    """

    def __init__(
        self, status_log: StatusLog, store: StatusStore, pulse: Pulse, *, directory: Path
    ) -> None:
        """`directory` is where the store is: room for sorting."""
        self._log = status_log
        self._store = store
        self._pulse = pulse
        self._directory = directory
        self._version: int | None = None
        """`StatusLog.version` before the log was read to its end; None: read it."""
        self._peeked: tuple[int | None, frozenset[int]] = None, frozenset()
        """The version before a peek, and what it found."""
        self._looked = 0.0
        self._lock = threading.Lock()
        self._watching = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="status-log", daemon=True)

    def start(self) -> None:
        """Go on in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=30)

    def after_change(self, _issuer: str) -> None:
        """`ca.revocation.Listener`: follow now. If that fails, the store is not to be believed."""
        try:
            self.follow()
        except Exception:
            self._pulse.doubt(Trust.DISTRUSTED)
            raise

    def follow(self) -> None:
        """Read the log to its end.

        Raises `Unavailable` when the database cannot be read or the store not be written, and
        `OtherHistory` when an older copy of the database was put back.
        """
        try:
            self._look()
        finally:
            self._pulse.settle()

    def peek(self) -> Collection[int]:
        """Return the serial numbers in the log that the store may not have yet.

        What is neither here nor, after this, in the store is not in the log. Nothing is written,
        so nobody waits for the disk. Raises what `follow` raises.
        """
        version = self._look_at_version()
        if version is not None and version == self._version:
            return ()
        peeked, found = self._peeked
        if version is not None and version == peeked:
            return found
        place = self._store.place()
        if place is not None:
            entries = read_since(self._log, place, limit=_PORTION)
            if len(entries) < _PORTION - 1:
                found = frozenset(int(one.serial, 16) for one in entries)
                self._peeked = version, found
                return found
        self.follow()
        return ()

    def _look_at_version(self) -> int | None:
        with self._watching:
            return self._log.version()

    def _look(self) -> None:
        with self._lock:
            began, version = elapsed(), self._look_at_version()
            same = version is not None and version == self._version
            if not same or began >= self._looked + _LOOK_SECONDS:
                # Nothing is known of the log if this fails.
                self._version = None
                try:
                    self._follow()
                except OtherHistory:
                    self._pulse.doubt(Trust.DIVERGED)
                    raise
                self._version, self._looked = version, began
            self._pulse.hear(began)

    def _follow(self) -> None:
        if self._store.place() is None:
            self._begin()
        while True:
            entries = read_since(self._log, self._store.place(), limit=_PORTION)
            complete = len(entries) < _PORTION - 1
            if entries or not self._store.is_complete():
                self._apply(entries, complete=complete)
            if complete:
                return
            log.info("status log followed", extra={"position": entries[-1].position})

    def _begin(self) -> None:
        last = self._log.find_last()
        if last is not None and last.position > _LONG:
            rebuild(self._log, self._store, self._directory)

    def _apply(self, entries: Sequence[StatusEntry], *, complete: bool) -> None:
        try:
            self._store.apply(entries, complete=complete)
        except Exception:
            # What was read and cannot be kept: better no answer than one that is known wrong.
            self._pulse.doubt(Trust.DISTRUSTED)
            raise

    def _loop(self) -> None:
        failing = False
        while not self._stop.is_set():
            self._log.wait(_PERIOD_SECONDS, self._stop)
            try:
                self.follow()
                failing = False
            except Exception:
                # Recorded once: what is stored holds until its end, and `Pulse` tells the lag.
                if not failing:
                    log.exception("the status log cannot be followed")
                failing = True


_OTHER_HISTORY: Final = (
    "the database is older than what this host knows: its status log does not have entry {} as it "
    "was applied here. Was an older copy put back? Nothing is followed until `yinxin reconcile`"
)
