"""A certificate that is revoked or frozen takes the sessions that stand on it with it.

This follows the status log, so it does not matter which node, command or batch changed the status.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Mapping
from typing import Final

from cryptography import x509

from authn.sessions import Sessions
from ca.issuer import Issuer
from ca.store import RevocationLog
from crl.status import Status, StatusService

log = logging.getLogger(__name__)

_PERIOD_SECONDS: Final = 0.5
_PAGE: Final = 500


class RevokedSessions:
    """Ends sessions. Every node does it: what another node ended is not there any more.

    At the start every certificate that a session stands on is looked up, because what happened
    while no node ran is in no log that we followed; from then on the changes are read.
    """

    def __init__(
        self,
        sessions: Sessions,
        issuers: Mapping[str, Issuer],
        statuses: StatusService,
        *,
        revocation_log: RevocationLog,
    ) -> None:
        self._sessions = sessions
        self._issuers = issuers  # alive: a ceremony may add one
        self._statuses = statuses
        self._log = revocation_log
        self._seen: dict[str, int] | None = None
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="revoked-sessions", daemon=True)

    def start(self) -> None:
        """Begin, in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=30)

    def after_change(self, _issuer: str) -> None:
        """`ca.revocation.Listener`: follow now, and do not let who revokes wait for it."""
        self._wake.set()

    def follow(self) -> int:
        """Read the log to its end. Returns how many sessions ended. Raises `Unavailable`."""
        positions = self._log.revocation_positions()
        if self._seen is None or any(
            positions.get(name, 0) < at for name, at in self._seen.items()
        ):
            # The first look, or a database that went back in time.
            ended = self._look_at_all()
            self._seen = dict(positions)
            return ended
        return sum(
            self._follow_issuer(name, position)
            for name, position in positions.items()
            if position != self._seen.get(name, 0)
        )

    def _follow_issuer(self, issuer: str, position: int) -> int:
        seen = self._seen if self._seen is not None else {}
        ended = 0
        while (after := seen.get(issuer, 0)) < position:
            changes = self._log.list_changes(issuer, after=after, limit=_PAGE)
            if not changes:
                break
            ended += self._end(issuer, {serial for _, serial in changes})
            seen[issuer] = max(at for at, _ in changes)
        return ended

    def _look_at_all(self) -> int:
        serials: dict[str, set[int]] = {}
        for one in self._sessions.list_certificates():
            serials.setdefault(one.issuer, set()).add(int(one.serial, 16))
        ended = sum(self._end(issuer, some) for issuer, some in serials.items())
        for name, issuer in self._issuers.items():
            ended += self._end_below(name, issuer)
        return ended

    def _end(self, issuer: str, changed: Collection[int]) -> int:
        """End what stands on those of `changed` that are not good now (one may be released)."""
        used = self._sessions.used_certificates(issuer, [f"{one:x}" for one in changed])
        # Nearly all that is revoked was never used here.
        gone = [one for one in used if not self._is_good(issuer, int(one, 16))]
        ended = self._sessions.end_of_certificates(issuer, gone) if gone else 0
        for name, below in self._issuers.items():
            if _serial_of(below) in changed:
                ended += self._end_below(name, below)
        if ended:
            log.info("sessions ended with their certificate", extra={"sessions": ended})
        return ended

    def _end_below(self, name: str, issuer: Issuer) -> int:
        """End everything below a CA whose own certificate does not hold any more."""
        parent = next(
            (
                above
                for above, candidate in self._issuers.items()
                if issuer.chain and candidate.certificate == issuer.chain[0]
            ),
            None,
        )
        if parent is None or self._is_good(parent, _serial_of(issuer)):
            return 0
        return self._sessions.end_of_certificates(name, None)

    def _is_good(self, issuer: str, serial: int) -> bool:
        return self._statuses.standing(issuer, serial).status is Status.GOOD

    def _loop(self) -> None:
        failing = False
        while not self._stopped.is_set():
            try:
                self.follow()
                failing = False
            except Exception:  # recorded once; the next look catches up
                if not failing:
                    log.exception("revoked certificates cannot be followed to their sessions")
                failing = True
            self._wake.wait(_PERIOD_SECONDS)
            self._wake.clear()


def _serial_of(issuer: Issuer) -> int:
    return x509.load_der_x509_certificate(issuer.certificate).serial_number
