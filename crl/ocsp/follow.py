"""Following the status log, so that ready answers are forgotten when they are true no more."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection
from typing import Final

from ca.store import StatusLog
from core.observe import OCSP_STATUS_AGE
from crl.ocsp.ready import ReadyAnswers

log = logging.getLogger(__name__)

_PERIOD_SECONDS: Final = 0.25
_AT_ONCE: Final = 1000
"""More changes than these since the last look, and everything of the issuer is forgotten."""


class StatusFollower:
    """Reads the changes of these issuers from the log, and makes `ready` forget what they touch.

    A change made in this process is followed by `after_change` before the change returns; one of
    another process by the thread, which looks four times a second.
    """

    def __init__(
        self, issuers: Collection[str], *, status_log: StatusLog, ready: ReadyAnswers
    ) -> None:
        self._issuers = issuers  # alive: a ceremony may add one
        self._log = status_log
        self._ready = ready
        self._lock = threading.Lock()
        self._seen: dict[str, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="ocsp-status", daemon=True)
        OCSP_STATUS_AGE.set_function(ready.age_seconds)

    def start(self) -> None:
        """Look once, then go on in a thread. Raises `Unavailable`."""
        self.follow()
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=30)

    def after_change(self, _issuer: str) -> None:
        """`ca.revocation.Listener`: follow now. If that fails, no ready answer is given."""
        try:
            self.follow()
        except Exception:
            self._ready.distrust()
            raise

    def follow(self) -> None:
        """Read the log to its end. Raises `Unavailable`."""
        with self._lock:
            began = self._ready.elapsed()
            positions = self._log.revocation_positions()
            for issuer in self._issuers:
                self._follow(issuer, positions.get(issuer, 0))
            self._ready.confirm(began)

    def _follow(self, issuer: str, position: int) -> None:
        seen = self._seen.get(issuer)
        if seen == position:
            return
        if seen is None or position < seen or position - seen > _AT_ONCE:
            if seen is not None and position < seen:
                log.error(
                    "the status log went backwards: is the database an older copy?",
                    extra={"issuer": issuer, "position": position, "seen": seen},
                )
            self._ready.forget(issuer, None)
            self._seen[issuer] = position
            return
        changes = self._log.list_changes(issuer, after=seen, limit=2 * _AT_ONCE)
        self._ready.forget(issuer, {serial for _, serial in changes})
        self._seen[issuer] = max([position, *(at for at, _ in changes)])

    def _loop(self) -> None:
        failing = False
        while not self._stop.wait(_PERIOD_SECONDS):
            try:
                self.follow()
                failing = False
            except Exception:
                # Recorded once: ready answers end by themselves (`ReadyAnswers.find`).
                if not failing:
                    log.exception("the status log cannot be read")
                failing = True
