"""Re-reading the database and proving what must be true of every stored certificate.

In constant memory: certificates come a page at a time, and of a million of them one bit each is
kept. It may run beside a service that issues: what looks wrong is read again before it is said.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

from ca.check_fault import Fault, IssuerFacts, fault
from ca.check_links import pair_faults, profile_faults, request_faults
from ca.check_octets import octet_faults, read_record
from ca.check_status import status_faults
from ca.lint_subject import Subject
from ca.profiles import CertificateProfile
from ca.sqlcheck import Row, SQLCheckSource
from ca.sqlstore import SQLCertificateStore
from ca.store import CertificateRecord
from core.audit_sql import SQLAuditLog
from core.db import Database
from core.errors import Malformed
from crl.sqlstore import SQLCRLStore
from yinxin.check_audit import AuditTrail
from yinxin.check_issuers import CheckedIssuers

PAGE: Final = 500
_READINGS: Final = 3
"""What is being changed at this moment is consistent by the third time."""

Report = Callable[[Fault], None]
Progress = Callable[[int, int], None]
"""Told the id of the last row that is done, and how many were done since the last time."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What certificates are held against."""

    profiles: Mapping[str, CertificateProfile]
    accepted: Collection[str] = frozenset()
    """Lint findings that the settings accept."""
    every: bool = False
    """Show every certificate to pkilint as well."""


@dataclass(frozen=True, slots=True)
class Span:
    """Rows with ids above `after`, up to `newest`."""

    after: int
    newest: int


class Check:
    """One re-audit."""

    def __init__(
        self, source: SQLCheckSource, issuers: CheckedIssuers, trail: AuditTrail, rules: Rules
    ) -> None:
        self._source = source
        self._issuers = issuers
        self._trail = trail
        self._rules = rules

    @classmethod
    def over(cls, database: Database, audit: SQLAuditLog, rules: Rules) -> Self:
        """Put one together over the tables of a database."""
        issuers = CheckedIssuers(SQLCertificateStore(database), SQLCRLStore(database))
        return cls(SQLCheckSource(database), issuers, AuditTrail(audit), rules)

    def run(self, span: Span, *, report: Report, progress: Progress) -> None:
        """Check everything once; rows at or below `span.after` were checked before."""
        about_all = (
            *self._issuers.faults(self._source),
            *self._duplicates(),
            *self._counts(),
        )
        after = span.after
        while page := self._source.page(after=after, newest=span.newest, limit=PAGE):
            for one in self._page_faults(page):
                report(one)
            after = page[-1].id
            progress(after, len(page))
        # Last, so that a check that is interrupted and resumed says these once.
        for one in (*about_all, *self._trail.faults(self._source, span.newest)):
            report(one)

    def _page_faults(self, page: Sequence[Row]) -> Iterable[Fault]:
        doubtful = [row for row in page if next(self._faults(row), None) is not None]
        for _ in range(_READINGS - 1):
            if not doubtful:
                return
            self._issuers.refresh_lists()
            again = self._source.again([row.id for row in doubtful])
            doubtful = [row for row in again if next(self._faults(row), None) is not None]
        for row in doubtful:
            yield from self._faults(row)

    def _faults(self, row: Row) -> Iterator[Fault]:
        record, rules = row.record, self._rules
        if record is None:
            yield Fault("row", row.issuer, row.serial, "it cannot be read by this release")
            return
        issuer = self._issuers.find(record.issuer)
        if issuer is None:
            yield fault("issuer", record, f"there is no issuer {record.issuer}")
        evidence = replace(row.evidence, listing=self._issuers.listing(record))
        yield from status_faults(record, evidence)
        subject = _readable(record, issuer)
        if subject is None:
            yield fault("octets", record, "the stored octets are not a certificate")
            return
        yield from octet_faults(record, subject, accepted=rules.accepted, every=rules.every)
        yield from profile_faults(record, subject, rules.profiles)
        yield from request_faults(record, subject, evidence, rules.profiles)
        yield from pair_faults(record, subject, evidence, rules.profiles)

    def _duplicates(self) -> Iterator[Fault]:
        for issuer, serial in self._source.duplicates():
            yield Fault("duplicate", issuer, serial, "it stands in more than one row")

    def _counts(self) -> Iterator[Fault]:
        found = self._source.counts_astray()
        for _ in range(_READINGS - 1):
            if not found:
                return
            found = self._source.counts_astray()
        for (whole, one), (kept, there) in found.items():
            where = one.organisation or "no organisation"
            what = " ".join(part for part in (one.profile, one.state, one.month) if part)
            yield Fault(
                "counts",
                "",
                "",
                f"{one.measure} of {where}{' and all below it' if whole else ''}, {what}: "
                f"{kept} by what is kept, {there} by the certificates",
            )


def _readable(record: CertificateRecord, issuer: IssuerFacts | None) -> Subject | None:
    try:
        return read_record(record, issuer)
    except Malformed:
        return None
