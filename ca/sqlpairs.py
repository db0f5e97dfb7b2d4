"""`ca.dual.PairStore` in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import and_, insert, or_, select
from sqlalchemy import update as sql_update

from ca.dual import KeyPair
from ca.requests import RequestState, encryption_request_id
from ca.store import CertificateState
from ca.tables import certificates, enrollment_requests, key_pairs
from core.db import Database

_P = key_pairs.c
_C = certificates.c
_R = enrollment_requests.c


class SQLPairStore:
    """Envelopes on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_pair(self, pair: KeyPair, *, now: datetime) -> None:
        with self._database.transaction() as connection:
            known = connection.execute(
                select(_P.request_id).where(_P.request_id == pair.request_id)
            ).scalar()
            if known is None:
                connection.execute(
                    insert(key_pairs).values(
                        request_id=pair.request_id,
                        key_id=pair.key_id,
                        enveloped=pair.enveloped,
                        temporary_key=pair.temporary_key,
                        created_at=now,
                    )
                )

    def find_pair(self, request_id: str) -> KeyPair | None:
        statement = select(key_pairs).where(_P.request_id == request_id)
        with self._database.reading() as connection:
            row = connection.execute(statement).first()
        if row is None:
            return None
        temporary = None if row.temporary_key is None else bytes(row.temporary_key)
        return KeyPair(row.request_id, row.key_id, bytes(row.enveloped), temporary)

    def list_ended(self, *, now: datetime, limit: int) -> Sequence[str]:
        certified = _C.request_id == _P.request_id.concat(encryption_request_id(""))
        statement = (
            select(_P.request_id)
            .outerjoin(certificates, certified)
            .outerjoin(enrollment_requests, _R.id == _P.request_id)
            .where(
                _P.retired_at.is_(None),
                or_(
                    _C.state == CertificateState.REVOKED,
                    _C.not_after < now,
                    and_(_C.id.is_(None), _R.state == RequestState.REJECTED),
                ),
            )
            .order_by(_P.created_at)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return list(connection.execute(statement).scalars())

    def mark_retired(self, request_id: str, *, at: datetime) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                sql_update(key_pairs).where(_P.request_id == request_id).values(retired_at=at)
            )
