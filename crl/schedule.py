"""When a CRL is made: on the first request after a revocation, and before the old one gets old.

A revocation does not call anything here. Whether the CRL is out of date is read from the database
(the revocation position), by the next download and by the job, whichever comes first: this holds
for every node of a cluster and after every crash, which a listener would not.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from threading import Lock

from ca.issuer import Issuer
from ca.store import StatusSource
from core.audit import AuditLog
from core.clock import Clock
from core.errors import NotFound, Refused, TrustError
from core.observe import CRL_NEXT_UPDATE, CRL_NUMBER
from core.transaction import Transactions
from crl.config import CRLConfig
from crl.generation import generate_crl
from crl.store import CRLRecord, CRLStore

log = logging.getLogger(__name__)


class CRLSchedule:
    """Keeps the CRL of every issuer current. Safe to share between threads."""

    def __init__(
        self,
        issuers: Mapping[str, Issuer],
        *,
        source: StatusSource,
        store: CRLStore,
        config: CRLConfig,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._issuers = issuers
        self._source = source
        self._store = store
        self._config = config
        self._transactions = transactions
        self._audit = audit
        self._clock = clock
        # A crowd of downloads right after a revocation makes one CRL, not one each.
        self._locks: defaultdict[str, Lock] = defaultdict(Lock)

    def current(self, issuer: str) -> CRLRecord:
        """Return a CRL with every revocation that was committed before this call.

        When none can be made (the key or the audit log is out of reach), the one before serves as
        long as it is valid. Raises `NotFound` for an issuer we do not have.
        """
        if issuer not in self._issuers:
            raise NotFound(f"there is no issuer {issuer!r}")
        record = self._current(issuer)
        # Here and not where it is made: gauges must be right after a restart, and on every node.
        CRL_NUMBER.labels(issuer).set(record.number)
        CRL_NEXT_UPDATE.labels(issuer).set(record.next_update.timestamp())
        return record

    def _current(self, issuer: str) -> CRLRecord:
        found = self._store.find_current(issuer)
        if found is not None and not self._due(found):
            return found
        with self._locks[issuer]:
            found = self._store.find_current(issuer)
            if found is not None and not self._due(found):
                return found
            try:
                return self._generate(issuer)
            except TrustError as error:
                if found is None or not self._serves(found, error):
                    raise
                log.exception("the CRL cannot be renewed", extra={"issuer": issuer})
                return found

    def refresh(self) -> None:
        """Make every CRL that is due; the rest is left alone. For a job of some seconds' period."""
        for name in self._issuers:
            try:
                self.current(name)
            except TrustError:
                # Recorded here: one issuer whose key is away must not stop the others.
                log.exception("the CRL cannot be made", extra={"issuer": name})

    def _generate(self, issuer: str) -> CRLRecord:
        return generate_crl(
            self._issuers[issuer],
            source=self._source,
            store=self._store,
            config=self._config,
            transactions=self._transactions,
            audit=self._audit,
            clock=self._clock,
        )

    def _due(self, found: CRLRecord) -> bool:
        if found.position != self._source.revocation_position(found.issuer):
            return True
        # Near the end of the issuer a CRL is shorter than configured: then half of it counts.
        half = (found.next_update - found.this_update) / 2
        return self._clock.now() >= found.this_update + min(
            half, timedelta(hours=self._config.refresh_hours)
        )

    def _serves(self, found: CRLRecord, error: TrustError) -> bool:
        # Past the end of an issuer its last CRL stays the last word.
        return isinstance(error, Refused) or self._clock.now() < found.next_update
