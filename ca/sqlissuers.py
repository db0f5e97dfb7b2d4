"""`ca.store.IssuerStore` in SQL."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from ca.store import IssuerRecord, Outside
from ca.tables import issuers, outside_certificates
from core.db import Database
from core.errors import Conflict
from keystore.algorithms import SignatureAlgorithm


class SQLIssuerStore:
    """The issuers of this service on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_issuer(self, record: IssuerRecord) -> None:
        try:
            with self._database.transaction() as connection, connection.begin_nested():
                connection.execute(
                    insert(issuers).values(
                        name=record.name,
                        parent=record.parent,
                        key_ref=record.key_ref,
                        signature_algorithm=record.signature_algorithm,
                        certificate=record.certificate,
                        created_at=record.created_at,
                        succeeds=record.succeeds,
                        takes_over_at=record.takes_over_at,
                    )
                )
        except IntegrityError as error:
            raise Conflict(f"there is an issuer named {record.name} already") from error

    def renew_issuer(self, record: IssuerRecord, certificate: bytes) -> bool:
        statement = (
            update(issuers)
            .where(issuers.c.name == record.name, issuers.c.certificate == record.certificate)
            .values(certificate=certificate)
        )
        with self._database.transaction() as connection:
            return connection.execute(statement).rowcount == 1

    def add_above(self, issuer: str, certificates: Sequence[bytes], *, now: datetime) -> None:
        for position, certificate in enumerate(certificates):
            if not self._add_outside(issuer, certificate, "above", position, now):
                raise Conflict(f"there are certificates above {issuer} already")

    def add_cross_certificate(self, issuer: str, certificate: bytes, *, now: datetime) -> bool:
        return self._add_outside(issuer, certificate, "cross", 0, now)

    def list_outside(self) -> Mapping[str, Outside]:
        columns = outside_certificates.c
        statement = select(outside_certificates).order_by(columns.position, columns.fingerprint)
        with self._database.reading() as connection:
            rows = connection.execute(statement).all()
        return {
            name: Outside(_of_kind(rows, name, "above"), _of_kind(rows, name, "cross"))
            for name in {row.issuer for row in rows}
        }

    def _add_outside(
        self, issuer: str, certificate: bytes, kind: str, position: int, now: datetime
    ) -> bool:
        row = {
            "issuer": issuer,
            "fingerprint": hashlib.sha256(certificate).hexdigest(),
            "kind": kind,
            "position": position,
            "certificate": certificate,
            "created_at": now,
        }
        try:
            with self._database.transaction() as connection, connection.begin_nested():
                connection.execute(insert(outside_certificates).values(row))
        except IntegrityError:
            return False
        return True

    def find_issuer(self, name: str) -> IssuerRecord | None:
        with self._database.reading() as connection:
            row = connection.execute(select(issuers).where(issuers.c.name == name)).first()
        return None if row is None else _issuer(row)

    def list_issuers(self) -> Sequence[IssuerRecord]:
        statement = select(issuers).order_by(
            issuers.c.parent.is_not(None), issuers.c.created_at, issuers.c.name
        )
        with self._database.reading() as connection:
            return [_issuer(row) for row in connection.execute(statement)]


def _of_kind(rows: Sequence[Any], issuer: str, kind: str) -> tuple[bytes, ...]:
    return tuple(bytes(row.certificate) for row in rows if (row.issuer, row.kind) == (issuer, kind))


def _issuer(row: Any) -> IssuerRecord:
    return IssuerRecord(
        name=row.name,
        parent=row.parent,
        key_ref=row.key_ref,
        signature_algorithm=SignatureAlgorithm(row.signature_algorithm),
        certificate=bytes(row.certificate),
        created_at=row.created_at,
        succeeds=row.succeeds,
        takes_over_at=row.takes_over_at,
    )
