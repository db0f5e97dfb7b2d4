"""`crl.publication.PublicationStore` in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, func, insert, or_, select
from sqlalchemy import update as sql_update

from ca.sqlinventory import record_of
from ca.store import CertificateRecord, CertificateState
from ca.tables import certificates, revocation_events
from core.db import Database
from crl.publication import Fault
from crl.tables_publication import publication_faults, publication_positions

_C = certificates.c
_E = revocation_events.c
_F = publication_faults.c
_P = publication_positions.c


class SQLPublicationStore:
    """Positions and faults on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def position(self, name: str) -> int:
        with self._database.reading() as connection:
            found = connection.execute(select(_P.position).where(_P.name == name)).scalar()
        return int(found or 0)

    def move(self, name: str, position: int) -> None:
        with self._database.transaction() as connection:
            moved = connection.execute(
                sql_update(publication_positions).where(_P.name == name).values(position=position)
            )
            if moved.rowcount == 0:
                values = {"name": name, "position": position}
                connection.execute(insert(publication_positions).values(values))

    def certificates_after(
        self, position: int, *, limit: int
    ) -> Sequence[tuple[int, CertificateRecord]]:
        statement = select(certificates).where(_C.id > position).order_by(_C.id).limit(limit)
        return self._records(statement)

    def count_after(self, position: int) -> int:
        with self._database.reading() as connection:
            last = connection.execute(select(func.max(_C.id))).scalar() or 0
        # Ids have next to no gaps; counting a million rows every few seconds would cost more.
        return max(0, int(last) - position)

    def changed_after(
        self, issuer: str, position: int, *, limit: int
    ) -> Sequence[tuple[int, int, CertificateRecord]]:
        statement = (
            select(certificates, _E.position.label("event_position"))
            .join(revocation_events, and_(_E.issuer == _C.issuer, _E.serial == _C.serial))
            .where(_E.issuer == issuer, _E.position > position)
            .order_by(_E.position)
            .limit(limit)
        )
        with self._database.reading() as connection:
            rows = connection.execute(statement).all()
        return [(int(row.event_position), int(row.id), record_of(row)) for row in rows]

    def expired_after(
        self, ended: datetime, certificate_id: int, *, until: datetime, limit: int
    ) -> Sequence[tuple[int, CertificateRecord]]:
        behind = and_(_C.not_after == ended, _C.id > certificate_id)
        statement = (
            select(certificates)
            .where(_C.state == CertificateState.ISSUED)
            .where(or_(_C.not_after > ended, behind), _C.not_after <= until)
            .order_by(_C.not_after, _C.id)
            .limit(limit)
        )
        return self._records(statement)

    def add_fault(self, certificate_id: int, error: str, *, due_at: datetime) -> None:
        values = {"error": error, "due_at": due_at}
        with self._database.transaction() as connection:
            counted = connection.execute(
                sql_update(publication_faults)
                .where(_F.certificate_id == certificate_id)
                .values(attempts=_F.attempts + 1, **values)
            )
            if counted.rowcount == 0:
                values |= {"certificate_id": certificate_id, "attempts": 1}
                connection.execute(insert(publication_faults).values(values))

    def remove_fault(self, certificate_id: int) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                delete(publication_faults).where(_F.certificate_id == certificate_id)
            )

    def list_faults(
        self, *, due: datetime | None = None, limit: int
    ) -> Sequence[tuple[int, Fault]]:
        statement = (
            select(certificates, _F.error, _F.attempts, _F.due_at)
            .join(publication_faults, _F.certificate_id == _C.id)
            .order_by(_F.due_at)
            .limit(limit)
        )
        if due is not None:
            statement = statement.where(_F.due_at <= due)
        with self._database.reading() as connection:
            rows = connection.execute(statement).all()
        return [
            (int(row.id), Fault(record_of(row), row.error, row.attempts, row.due_at))
            for row in rows
        ]

    def count_faults(self) -> int:
        with self._database.reading() as connection:
            statement = select(func.count()).select_from(publication_faults)
            return connection.execute(statement).scalar_one()

    def retry_faults(self, *, at: datetime) -> int:
        with self._database.transaction() as connection:
            return connection.execute(sql_update(publication_faults).values(due_at=at)).rowcount

    def _records(self, statement: Any) -> Sequence[tuple[int, CertificateRecord]]:
        with self._database.reading() as connection:
            return [(int(row.id), record_of(row)) for row in connection.execute(statement)]
