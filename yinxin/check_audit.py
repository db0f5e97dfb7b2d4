"""Re-audit: every issue has its audit event, and every event its certificate.

One bit for each row says whether an event of its issue was met; that is all that is kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from ca.check_fault import Fault
from ca.sqlcheck import SQLCheckSource
from core.audit_chain import StoredEvent
from core.audit_sql import SQLAuditLog

_ACTION: Final = "certificate.issued"
_PAGE: Final = 1000


class AuditTrail:
    """The audit log's side of a re-audit. Whether the log is whole, `yinxin audit verify` says."""

    def __init__(self, audit: SQLAuditLog) -> None:
        self._audit = audit
        self._sequence = 0
        self._seen = bytearray()

    def faults(self, source: SQLCheckSource, newest: int) -> Iterator[Fault]:
        """Compare both ways, for rows up to `newest`."""
        yield from self._read_on(source)
        for issuer, serial, position in source.events_without_row(limit=_PAGE):
            yield Fault("revocation", issuer, serial, f"event {position} is about no row")
        after = 0
        while page := source.certified(after=after, newest=newest, limit=_PAGE):
            if not all(self._was_seen(number) for number, _, _ in page):
                # Issued since the log was read.
                yield from self._read_on(source)
            for number, issuer, serial in page:
                if not self._was_seen(number):
                    yield Fault("audit", issuer, serial, "the audit log has no event of its issue")
            after = page[-1][0]

    def _read_on(self, source: SQLCheckSource) -> Iterator[Fault]:
        while page := self._audit.list_events(after=self._sequence, limit=_PAGE, action=_ACTION):
            self._sequence = page[-1].sequence
            by_issuer: dict[str, dict[str, tuple[StoredEvent, str]]] = {}
            for event in page:
                detail = json.loads(event.detail)
                named = by_issuer.setdefault(str(detail.get("issuer")), {})
                named[str(detail.get("serial"))] = event, str(detail.get("fingerprint"))
            for issuer, named in by_issuer.items():
                yield from self._compare(source, issuer, named)

    def _compare(
        self, source: SQLCheckSource, issuer: str, named: dict[str, tuple[StoredEvent, str]]
    ) -> Iterator[Fault]:
        rows = source.issued(issuer, list(named))
        for serial, (event, fingerprint) in named.items():
            if serial not in rows:
                yield Fault(
                    "audit", issuer, serial, f"event {event.sequence} issued it, no row has"
                )
                continue
            number, stored = rows[serial]
            self._mark(number)
            if stored != fingerprint:
                yield Fault(
                    "audit",
                    issuer,
                    serial,
                    f"event {event.sequence} issued another certificate, {fingerprint}",
                )

    def _mark(self, number: int) -> None:
        place, bit = divmod(number, 8)
        if place >= len(self._seen):
            self._seen.extend(bytes(max(place + 1 - len(self._seen), 4096)))
        self._seen[place] |= 1 << bit

    def _was_seen(self, number: int) -> bool:
        place, bit = divmod(number, 8)
        return place < len(self._seen) and bool(self._seen[place] & 1 << bit)
