"""The status of certificates from the local store, as long as the store is to be believed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from ca.store import CertificateStatus
from core.errors import Unavailable
from core.gathering import Gathering
from crl.ocsp.pulse import Pulse
from crl.ocsp.store import StatusStore

NOT_HEARD: Final = "the status log cannot be read, and the store has no such serial"
_HEARD_SECONDS: Final = 5.0


class LocalStatus:
    """`ca.store.StatusReader` over the store of this host. Safe to share between threads."""

    def __init__(self, store: StatusStore, pulse: Pulse, catch_up: Callable[[], object]) -> None:
        """`catch_up` reads the log to its end, and raises when it cannot."""
        self._store = store
        self._pulse = pulse
        self._catch_up = catch_up
        # Who guesses serial numbers makes the log be read; once for all who ask meanwhile.
        self._catching_up: Gathering[None, None] = Gathering(self._catch_up_for)

    def find_status(self, issuer: str, serial: int) -> CertificateStatus | None:
        """Return what holds, or None for what was never issued.

        Raises `Unavailable` when a change is known that the store could not take in.
        """
        self._require_trust()
        return self._store.find_status(issuer, serial)

    def look(self, issuer: str, serial: int) -> tuple[int, CertificateStatus | None]:
        """Return `StatusStore.look`. Raises `Unavailable` like `find_status`."""
        self._require_trust()
        return self._store.look(issuer, serial)

    def ticket(self, issuer: str, serial: int) -> int:
        """Return what `StatusStore.put_answer` wants, to be drawn before the status is read.

        0: it was never issued. Raises `Unavailable` when that cannot be said, because the log
        cannot be read.
        """
        ticket = self._store.ticket(issuer, serial)
        if ticket == 0:
            # Servers ask about a certificate in the second it is issued. The database is asked
            # only while it answers: whoever waits for one that is away holds up the others.
            if not self.is_heard():
                raise Unavailable(NOT_HEARD)
            self._catching_up.ask(None)
            ticket = self._store.ticket(issuer, serial)
        return ticket

    def is_heard(self) -> bool:
        """Whether the log was read lately: otherwise the database seems to be away."""
        return self._pulse.age_seconds() <= _HEARD_SECONDS

    def _require_trust(self) -> None:
        if self._pulse.distrusted:
            raise Unavailable("a status changed that the local store could not take in")

    def _catch_up_for(self, waiting: Sequence[None]) -> Sequence[None]:
        self._catch_up()
        return waiting
