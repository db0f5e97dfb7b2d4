"""The rows that a re-audit walks over, a page at a time, on SQLite and PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from ca.check_fault import Evidence, RequestFacts, StatusEvent
from ca.reasons import RevocationReason
from ca.requests import RequestState, partner_request_id
from ca.sqlcheckcounts import astray
from ca.sqlinventory import record_of
from ca.sqlkeptcounts import Counted
from ca.store import CertificateRecord, CertificateState
from ca.tables import certificates, enrollment_requests, key_pairs, revocation_events
from core.db import Database
from core.errors import Malformed

_C = certificates.c
_E = revocation_events.c
_K = key_pairs.c
_R = enrollment_requests.c


@dataclass(frozen=True, slots=True)
class Row:
    """One row of certificates, as far as it can be read."""

    id: int
    issuer: str
    serial: str
    record: CertificateRecord | None
    """None: it holds values that are not of this release."""
    evidence: Evidence


class SQLCheckSource:
    """Pages of certificates with what belongs to them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def newest(self) -> int:
        """Return the last row's id: what comes later is another check's."""
        with self._database.reading() as connection:
            return connection.execute(select(func.max(_C.id))).scalar() or 0

    def before(self, moment: datetime) -> int:
        """Return the id behind which everything was reserved at `moment` or later."""
        found = select(func.min(_C.id)).where(_C.reserved_at >= moment)
        with self._database.reading() as connection:
            first = connection.execute(found).scalar()
        return self.newest() if first is None else first - 1

    def count(self, *, after: int, newest: int) -> int:
        """Return how many rows there are to check."""
        counted = select(func.count()).where(_C.id > after, _C.id <= newest)
        with self._database.reading() as connection:
            return connection.execute(counted).scalar() or 0

    def page(self, *, after: int, newest: int, limit: int) -> Sequence[Row]:
        """Return the next rows in the order of their ids."""
        return self._rows(_C.id > after, _C.id <= newest, limit=limit)

    def again(self, ids: Sequence[int]) -> Sequence[Row]:
        """Return these rows as they are now."""
        return self._rows(_C.id.in_(ids), limit=len(ids))

    def duplicates(self) -> Sequence[tuple[str, str]]:
        """Return (issuer, serial) of what stands in several rows, whatever constraints say."""
        repeated = func.count() > 1
        serials = select(_C.issuer, _C.serial).group_by(_C.issuer, _C.serial).having(repeated)
        requests = (
            select(func.max(_C.issuer), func.max(_C.serial))
            .where(_C.request_id.is_not(None))
            .group_by(_C.request_id)
            .having(repeated)
        )
        with self._database.reading() as connection:
            found = [*connection.execute(serials), *connection.execute(requests)]
        return [(row[0], row[1]) for row in found]

    def counts_astray(self) -> Mapping[tuple[bool, Counted], tuple[int, int]]:
        """Return what is kept and what there is, wherever counts differ (`sqlcheckcounts`)."""
        return astray(self._database)

    def keys_of(self, spki_fingerprint: str) -> Sequence[bytes]:
        """Return the certificates of one key, the newest first."""
        statement = (
            select(_C.der)
            .where(_C.spki_fingerprint == spki_fingerprint, _C.der.is_not(None))
            .order_by(_C.id.desc())
        )
        with self._database.reading() as connection:
            return [bytes(octets) for octets in connection.execute(statement).scalars()]

    def issued(self, issuer: str, serials: Sequence[str]) -> Mapping[str, tuple[int, str | None]]:
        """Return (id, fingerprint) by serial of the rows that there are."""
        statement = select(_C.serial, _C.id, _C.fingerprint).where(
            _C.issuer == issuer, _C.serial.in_(serials)
        )
        with self._database.reading() as connection:
            return {row.serial: (row.id, row.fingerprint) for row in connection.execute(statement)}

    def certified(self, *, after: int, newest: int, limit: int) -> Sequence[tuple[int, str, str]]:
        """Return (id, issuer, serial) of the next rows that hold a certificate."""
        statement = (
            select(_C.id, _C.issuer, _C.serial)
            .where(_C.id > after, _C.id <= newest, _C.der.is_not(None))
            .order_by(_C.id)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [(row.id, row.issuer, row.serial) for row in connection.execute(statement)]

    def events_without_row(self, *, limit: int) -> Sequence[tuple[str, str, int]]:
        """Return (issuer, serial, position) of status changes of certificates we do not know."""
        same = (_C.issuer == _E.issuer) & (_C.serial == _E.serial)
        statement = (
            select(_E.issuer, _E.serial, _E.position)
            .outerjoin(certificates, same)
            .where(_C.id.is_(None))
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [(row.issuer, row.serial, row.position) for row in connection.execute(statement)]

    def _rows(self, *conditions: Any, limit: int) -> Sequence[Row]:
        statement = select(certificates).where(*conditions).order_by(_C.id).limit(limit)
        with self._database.reading() as connection:
            found = connection.execute(statement).all()
            requests = [row.request_id for row in found if row.request_id is not None]
            bases = {one.partition(".")[0] for one in requests}
            partners = {partner_request_id(one) for one in requests}
            known = {
                row.id: row
                for row in connection.execute(
                    select(_R.id, _R.profile, _R.state, _R.content).where(_R.id.in_(bases))
                )
            }
            others = {
                row.request_id: row
                for row in connection.execute(
                    select(certificates).where(_C.request_id.in_(partners))
                )
            }
            envelopes = set(
                connection.execute(select(_K.request_id).where(_K.request_id.in_(bases))).scalars()
            )
            serials = {row.serial for row in found}
            events = {
                (row.issuer, row.serial): row
                for row in connection.execute(
                    select(revocation_events)
                    .where(_E.issuer.in_({row.issuer for row in found}), _E.serial.in_(serials))
                    .order_by(_E.position)
                )
            }
        return [_row(one, known, others, envelopes, events) for one in found]


def _row(
    row: Any,
    requests: Mapping[str, Any],
    others: Mapping[str, Any],
    envelopes: set[str],
    events: Mapping[tuple[str, str], Any],
) -> Row:
    base = (row.request_id or "").partition(".")[0]
    request = requests.get(base)
    partner = others.get(partner_request_id(row.request_id)) if row.request_id else None
    event = events.get((row.issuer, row.serial))
    try:
        return Row(
            row.id,
            row.issuer,
            row.serial,
            record_of(row),
            Evidence(
                request=None if request is None else _request(request),
                partner=None if partner is None else record_of(partner),
                has_envelope=base in envelopes,
                event=None if event is None else _event(event),
            ),
        )
    except (ValueError, KeyError, Malformed):
        return Row(row.id, row.issuer, row.serial, None, Evidence())


def _request(row: Any) -> RequestFacts:
    return RequestFacts(
        profile=row.profile,
        rejected=RequestState(row.state) is RequestState.REJECTED,
        spki=bytes.fromhex(json.loads(row.content)["spki"]),
    )


def _event(row: Any) -> StatusEvent:
    return StatusEvent(
        position=int(row.position),
        state=CertificateState(row.state),
        reason=None if row.reason is None else RevocationReason(row.reason),
    )
