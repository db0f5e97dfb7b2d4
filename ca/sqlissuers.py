"""`ca.store.IssuerStore` in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from ca.store import IssuerRecord
from ca.tables import issuers
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
