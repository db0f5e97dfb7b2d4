"""When a CRL is made: on the first request after a revocation, and before the old one gets old.

A revocation does not call anything here. Whether a CRL is out of date is read from the database
(the revocation position), by the next download and by the job, whichever comes first: this holds
for every node of a cluster and after every crash, which a listener would not.
"""

from __future__ import annotations

import logging
from collections import OrderedDict, defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from threading import Lock
from typing import Final

from ca.distribution import Scope, parse_scope
from ca.issuer import Issuer
from core.clock import Clock
from core.errors import Malformed, NotFound, Refused, TrustError
from core.observe import CRL_NEXT_UPDATE, CRL_NUMBER
from crl.entries import is_in
from crl.generation import CRLGenerator, renewed_at
from crl.store import CRLHead, CRLRecord

log = logging.getLogger(__name__)

_SHORT: Final = 10_000
"""A CRL with so many entries is made at once; the next longer ones wait a little."""
_KEPT_OCTETS: Final = 256 << 20
"""CRLs in memory: one that was just made or served need not be read again."""


class CRLSchedule:
    """Keeps the CRLs of every issuer current. Safe to share between threads."""

    def __init__(
        self, issuers: Mapping[str, Issuer], generator: CRLGenerator, *, clock: Clock
    ) -> None:
        self._issuers = issuers
        self._generator = generator
        self._clock = clock
        # A crowd of downloads right after a revocation makes one CRL, not one each.
        self._locks: defaultdict[str, Lock] = defaultdict(Lock)
        self._kept = _Kept()
        # Of a scope: at this position of the issuer, the CRL with this number said all.
        self._unchanged: dict[str, tuple[int, int]] = {}
        # Of an issuer: at this position, nothing is due before this moment.
        self._quiet: dict[str, tuple[int, datetime]] = {}

    def scopes(self, issuer: str) -> tuple[Scope, ...]:
        """Return what this issuer has CRLs for."""
        return self._generator.scopes(self._issuers[issuer])

    def oldest(self, issuer: str) -> CRLHead:
        """Return the CRL of this issuer that ends first, after making those that are due."""
        self._refresh(issuer)
        heads = self._generator.store.list_heads(issuer)
        wanted = [heads[scope.name] for scope in self.scopes(issuer)]
        return min(wanted, key=lambda head: head.next_update)

    def current(self, name: str) -> CRLRecord:
        """Return the CRL of a scope, with every revocation that was committed before this call.

        A long one may be some seconds behind (`CRLConfig.debounce_seconds`). When none can be made
        (the key or the audit log is out of reach), the one before serves as long as it is valid.
        Raises `NotFound` for a scope we do not have.
        """
        scope = self._find(name)
        head = self._up_to_date(scope, delta=False)
        if scope.partitions == 1:
            # Here and not where it is made: gauges must be right after a restart, on every node.
            CRL_NUMBER.labels(name).set(head.number)
            CRL_NEXT_UPDATE.labels(name).set(head.next_update.timestamp())
        return self._octets_of(head)

    def current_delta(self, name: str) -> CRLRecord:
        """Return the delta CRL of a scope. Raises `NotFound` where there are none."""
        if not self._generator.config.delta:
            raise NotFound("there are no delta CRLs here")
        scope = self._find(name)
        if self._generator.store.find_head(name) is None:
            self._up_to_date(scope, delta=False)
        return self._octets_of(self._up_to_date(scope, delta=True))

    def refresh(self) -> None:
        """Make every CRL that is due; the rest is left alone. For a job of some seconds' period."""
        for name in self._issuers:
            try:
                self._refresh(name)
            except TrustError:
                # Recorded here: one issuer whose key is away must not stop the others.
                log.exception("the CRL cannot be made", extra={"issuer": name})

    def _refresh(self, issuer: str) -> None:
        position = self._generator.source.revocation_position(issuer)
        known = self._quiet.get(issuer)
        if known is not None and known[0] == position and self._clock.now() < known[1]:
            return
        until = []
        for scope in self.scopes(issuer):
            for delta in (False, True) if self._generator.config.delta else (False,):
                head = self._up_to_date(scope, delta=delta)
                waits = self._changed(head, scope)
                now = self._clock.now()
                until.append(now if waits else renewed_at(head, self._generator.config))
        # Not the position now: something may have been revoked while the first were made.
        self._quiet[issuer] = (position, min(until))

    def _up_to_date(self, scope: Scope, *, delta: bool) -> CRLHead:
        store, issuer = self._generator.store, self._issuers[scope.issuer]
        found = store.find_head(scope.name, delta=delta)
        if found is not None and not self._due(found, scope):
            return found
        with self._locks[_key(scope.name, 0 if delta else None)]:
            found = store.find_head(scope.name, delta=delta)
            if found is not None and not self._due(found, scope):
                return found
            make = self._generator.delta if delta else self._generator.complete
            try:
                made = make(issuer, scope)
            except TrustError as error:
                if found is None or not self._serves(found, error):
                    raise
                log.exception("the CRL cannot be renewed", extra={"issuer": scope.name})
                return found
            self._kept.put(made)
            return made

    def _octets_of(self, head: CRLHead) -> CRLRecord:
        record = self._kept.get(head)
        if record is None:
            store, delta = self._generator.store, head.base is not None
            record = store.find_current(head.scope, delta=delta)
            if record is None:
                raise NotFound(f"the CRL of {head.scope} was removed while it was read")
            self._kept.put(record)
        return record

    def _find(self, name: str) -> Scope:
        try:
            scope = parse_scope(name)
        except Malformed as error:
            raise NotFound(f"there is no CRL {name!r}") from error
        if scope.issuer not in self._issuers:
            raise NotFound(f"there is no issuer {scope.issuer!r}")
        if not self._generator.has(scope):
            raise NotFound(f"{scope.issuer} has no CRL {name!r}")
        return scope

    def _due(self, found: CRLHead, scope: Scope) -> bool:
        now, config = self._clock.now(), self._generator.config
        if now >= renewed_at(found, config):
            return True
        wait = timedelta(seconds=config.debounce_seconds if found.entries > _SHORT else 0)
        return now >= found.this_update + wait and self._changed(found, scope)

    def _changed(self, found: CRLHead, scope: Scope) -> bool:
        """Whether something of this scope was revoked, held or released that it does not say."""
        position = self._generator.source.revocation_position(scope.issuer)
        key = _key(scope.name, found.base)
        if position == found.position or self._unchanged.get(key) == (found.number, position):
            self._unchanged[key] = (found.number, position)
            return False
        covered = self._generator.follow(scope.issuer)
        changes = self._generator.segments.last_changes(scope.issuer, after=found.position)
        if any(is_in(segment, scope) for segment in changes):
            return True
        self._unchanged[key] = (found.number, covered)
        return False

    def _serves(self, found: CRLHead, error: TrustError) -> bool:
        # Past the end of an issuer its last CRL stays the last word.
        return isinstance(error, Refused) or self._clock.now() < found.next_update


class _Kept:
    """CRLs that were made or read last, with their octets."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._records: OrderedDict[str, CRLRecord] = OrderedDict()
        self._octets = 0

    def get(self, head: CRLHead) -> CRLRecord | None:
        key = _key(head.scope, head.base)
        with self._lock:
            found = self._records.get(key)
            if found is None or found.number != head.number:
                return None
            self._records.move_to_end(key)
            return found

    def put(self, record: CRLRecord) -> None:
        key = _key(record.scope, record.base)
        with self._lock:
            before = self._records.pop(key, None)
            self._octets += len(record.der) - (0 if before is None else len(before.der))
            self._records[key] = record
            while self._octets > _KEPT_OCTETS and len(self._records) > 1:
                _, oldest = self._records.popitem(last=False)
                self._octets -= len(oldest.der)


def _key(scope: str, base: int | None) -> str:
    return scope if base is None else f"{scope}.delta"
