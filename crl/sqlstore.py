"""`crl.store` in SQL, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from ca.serials import from_hex, to_hex
from core.db import Database
from core.errors import Conflict
from crl.store import CRLRecord, DelegateRecord
from crl.tables import crl_numbers, crls, ocsp_delegates
from keystore import keyref
from keystore.algorithms import SignatureAlgorithm

_D = ocsp_delegates.c
KEPT_CRLS = 100
"""Older CRLs of an issuer are forgotten: each is a whole copy, and the newest one counts."""


class SQLCRLStore:
    """`crl.store.CRLStore` and `crl.store.DelegateStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def reserve_number(self, issuer: str, *, at_least: int) -> int:
        with self._database.transaction() as connection:
            highest = _lock(connection, issuer)
            number = max(highest + 1, at_least)
            connection.execute(
                update(crl_numbers).where(crl_numbers.c.issuer == issuer).values(number=number)
            )
        return number

    def publish(self, record: CRLRecord) -> None:
        with self._database.transaction() as connection:
            _lock(connection, record.issuer)
            current = _find_current(connection, record.issuer)
            if current is not None:
                _check_forwards(current, record)
            connection.execute(
                insert(crls).values(
                    issuer=record.issuer,
                    number=record.number,
                    this_update=record.this_update,
                    next_update=record.next_update,
                    position=record.position,
                    entries=record.entries,
                    der=record.der,
                )
            )
            _forget_old(connection, record.issuer)

    def find_current(self, issuer: str) -> CRLRecord | None:
        with self._database.reading() as connection:
            return _find_current(connection, issuer)

    def add_delegate(self, record: DelegateRecord) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                insert(ocsp_delegates).values(
                    issuer=record.issuer,
                    serial=to_hex(record.serial),
                    key=record.key,
                    algorithm=record.algorithm.value,
                    certificate=record.certificate,
                    not_before=record.not_before,
                    not_after=record.not_after,
                )
            )

    def list_delegates(self, issuer: str) -> Sequence[DelegateRecord]:
        return self._delegates(_D.issuer == issuer)

    def list_ended(self, before: datetime) -> Sequence[DelegateRecord]:
        return self._delegates(_D.not_after < before)

    def mark_destroyed(self, record: DelegateRecord, *, at: datetime) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                update(ocsp_delegates)
                .where(_D.issuer == record.issuer, _D.serial == to_hex(record.serial))
                .values(destroyed_at=at)
            )

    def _delegates(self, condition: ColumnElement[bool]) -> Sequence[DelegateRecord]:
        statement = (
            select(ocsp_delegates)
            .where(condition, _D.destroyed_at.is_(None))
            .order_by(_D.not_after.desc(), _D.serial)
        )
        with self._database.reading() as connection:
            rows = connection.execute(statement).all()
        return [
            DelegateRecord(
                issuer=row.issuer,
                serial=from_hex(row.serial),
                key=keyref.parse(row.key),
                algorithm=SignatureAlgorithm(row.algorithm),
                certificate=bytes(row.certificate),
                not_before=row.not_before,
                not_after=row.not_after,
            )
            for row in rows
        ]


def _lock(connection: Connection, issuer: str) -> int:
    """Lock the issuer's row, making it if there is none, and return the highest number drawn."""
    query = select(crl_numbers.c.number).where(crl_numbers.c.issuer == issuer).with_for_update()
    row = connection.execute(query).first()
    if row is None:
        try:
            with connection.begin_nested():
                connection.execute(insert(crl_numbers).values(issuer=issuer, number=0))
        except IntegrityError:
            pass  # another thread was faster; its row is the one to lock
        row = connection.execute(query).one()
    return int(row.number)


def _find_current(connection: Connection, issuer: str) -> CRLRecord | None:
    row = connection.execute(
        select(
            crls.c.number,
            crls.c.this_update,
            crls.c.next_update,
            crls.c.position,
            crls.c.entries,
            crls.c.der,
        )
        .where(crls.c.issuer == issuer)
        .order_by(crls.c.number.desc())
        .limit(1)
    ).first()
    if row is None:
        return None
    return CRLRecord(
        issuer=issuer,
        number=int(row.number),
        this_update=row.this_update,
        next_update=row.next_update,
        position=int(row.position),
        entries=int(row.entries),
        der=bytes(row.der),
    )


def _check_forwards(current: CRLRecord, record: CRLRecord) -> None:
    # RFC 5280, 5.2.3: the number grows; and with it what it covers, and its time.
    if record.number <= current.number:
        raise Conflict(f"CRL {current.number} is published already, {record.number} comes too late")
    if record.position < current.position:
        raise Conflict(
            f"the published CRL covers position {current.position}, this one only {record.position}"
        )
    if record.this_update < current.this_update:
        raise Conflict(
            f"the published CRL is of {current.this_update.isoformat()}, "
            f"this one of {record.this_update.isoformat()}: the clock went backwards"
        )


def _forget_old(connection: Connection, issuer: str) -> None:
    oldest_kept = (
        select(crls.c.number)
        .where(crls.c.issuer == issuer)
        .order_by(crls.c.number.desc())
        .offset(KEPT_CRLS - 1)
        .limit(1)
        .scalar_subquery()
    )
    connection.execute(delete(crls).where(crls.c.issuer == issuer, crls.c.number < oldest_kept))
