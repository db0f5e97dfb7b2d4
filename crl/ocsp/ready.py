"""Answers ready to send, given without reading the database as long as the status is known.

The status log decides what may be given (docs/decisions/0060): an answer is forgotten when a
change of its serial number is seen, taken in only if none was seen since its status was read,
and given only while the last look at the log is young enough.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Final

from ca.issuer import Issuer
from crl.ocsp.cache import Answer
from crl.ocsp.request import OCSPRequest

_REMEMBERED_CHANGES: Final = 10_000
LOOKED_UP_ANEW: Final = timedelta(seconds=60)
"""An answer in use is compared with the status again at this age, whatever the log says."""
_TRIED_AGAIN: Final = timedelta(seconds=5)


@dataclass(slots=True)
class Ready:
    """One answer, and whose status it tells."""

    issuer: Issuer
    serial: int
    request: OCSPRequest
    """What to make it anew from."""
    answer: Answer
    fields: bytes
    """Its HTTP fields, as they are until `fields_until`."""
    fields_until: datetime
    refresh_at: datetime
    """From here on it is made anew in the background, while it still serves."""

    def claim_refresh(self, now: datetime) -> bool:
        """True once, when it is due; and again after a pause, if nothing has replaced it."""
        if now < self.refresh_at:
            return False
        self.refresh_at = now + _TRIED_AGAIN
        return True


class ReadyAnswers:
    """The ready answers of every issuer. `find` takes no lock; all else may come from any thread.

    `elapsed` tells seconds that never go backwards.
    """

    def __init__(
        self,
        entries: int,
        *,
        status_lag_seconds: float,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._entries = entries
        self._lag = status_lag_seconds
        self.elapsed = elapsed
        self._lock = Lock()
        self._ready: dict[bytes, Ready] = {}
        self._cert_ids: dict[tuple[str, int], set[bytes]] = {}
        # Every look at the log that found something counts one up; tickets are that count.
        self._looks = 0
        self._changed: dict[tuple[str, int], int] = {}
        self._oldest_ticket = 0
        self._confirmed = float("-inf")

    def find(self, cert_id: bytes, now: datetime) -> Ready | None:
        """Return the answer to a CertID if it still says what holds."""
        if self.elapsed() - self._confirmed > self._lag:
            return None
        ready = self._ready.get(cert_id)
        if ready is None or not ready.answer.produced_at <= now < ready.answer.until:
            return None
        return ready

    def ticket(self) -> int:
        """Return what `put` wants, to be drawn before a status is read."""
        return self._looks

    def put(self, cert_id: bytes, ready: Ready, *, ticket: int) -> bool:
        """Take an answer in, unless its status may have changed since `ticket` was drawn.

        The answers taken in longest ago make room; those in use are taken in anew all the time.
        """
        key = (ready.issuer.name, ready.serial)
        with self._lock:
            if ticket < max(self._changed.get(key, 0), self._oldest_ticket):
                return False
            self._forget(cert_id)
            self._ready[cert_id] = ready
            self._cert_ids.setdefault(key, set()).add(cert_id)
            while len(self._ready) > self._entries:
                self._forget(next(iter(self._ready)))
            return True

    def forget(self, issuer: str, serials: Collection[int] | None) -> None:
        """Forget the answers about these serials, which have changed; None: all of the issuer."""
        with self._lock:
            self._looks += 1
            if serials is None or len(self._changed) + len(serials) > _REMEMBERED_CHANGES:
                # What is not remembered one by one: no ticket drawn before now counts.
                self._changed.clear()
                self._oldest_ticket = self._looks
            else:
                self._changed.update(((issuer, serial), self._looks) for serial in serials)
            if serials is None:
                gone = [one for one, ready in self._ready.items() if ready.issuer.name == issuer]
            else:
                gone = [one for s in serials for one in self._cert_ids.get((issuer, s), ())]
            for cert_id in gone:
                self._forget(cert_id)

    def confirm(self, at: float) -> None:
        """Note that the log was read to its end, beginning at this moment of `elapsed`."""
        self._confirmed = at

    def distrust(self) -> None:
        """Give nothing until the log has been read again."""
        self._confirmed = float("-inf")

    def age_seconds(self) -> float:
        """Return how long ago the log was read to its end."""
        return self.elapsed() - self._confirmed

    def _forget(self, cert_id: bytes) -> None:
        ready = self._ready.pop(cert_id, None)
        if ready is None:
            return
        key = (ready.issuer.name, ready.serial)
        cert_ids = self._cert_ids[key]
        cert_ids.discard(cert_id)
        if not cert_ids:
            del self._cert_ids[key]
