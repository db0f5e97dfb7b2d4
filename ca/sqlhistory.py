"""`ca.history.HistoryStore` in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import select

from ca.history import SentNotice, StatusEvent
from ca.reasons import RevocationReason
from ca.serials import to_hex
from ca.store import CertificateRecord, CertificateState
from ca.tables import certificates, revocation_events
from ca.tables_notices import notices
from core.db import Database

_C = certificates.c
_E = revocation_events.c
_N = notices.c
_LIMIT: Final = 1000


class SQLHistory:
    """What was written about one certificate, on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list_events(self, record: CertificateRecord) -> Sequence[StatusEvent]:
        statement = (
            select(_E.state, _E.reason, _E.at, _E.actor)
            .where(_E.issuer == record.issuer, _E.serial == to_hex(record.serial))
            .order_by(_E.position)
            .limit(_LIMIT)
        )
        with self._database.reading() as connection:
            rows = connection.execute(statement).all()
        return [
            StatusEvent(
                CertificateState(row.state),
                None if row.reason is None else RevocationReason(row.reason),
                row.at,
                row.actor,
            )
            for row in rows
        ]

    def list_notices(self, record: CertificateRecord) -> Sequence[SentNotice]:
        statement = (
            select(_N.days, _N.channel, _N.state, _N.sent_at)
            .join(certificates, _C.id == _N.certificate_id)
            .where(_C.issuer == record.issuer, _C.serial == to_hex(record.serial))
            .order_by(_N.id)
            .limit(_LIMIT)
        )
        with self._database.reading() as connection:
            rows = connection.execute(statement).all()
        return [SentNotice(row.days, row.channel, row.state, row.sent_at) for row in rows]
