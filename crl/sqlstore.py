"""`crl.store` in SQL, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from ca.serials import from_hex, to_hex
from core.db import Database
from core.errors import Conflict
from crl.store import CRLHead, CRLRecord, DelegateRecord
from crl.tables import crl_numbers, crls, ocsp_delegates
from keystore import keyref
from keystore.algorithms import SignatureAlgorithm

_D = ocsp_delegates.c
_L = crls.c
_HEAD = select(
    _L.scope, _L.number, _L.base, _L.this_update, _L.next_update, _L.position, _L.entries
)
KEPT_CRLS = 100
KEPT_OCTETS = 16 << 20
"""So many CRLs of a scope are kept in full, and so many octets of them: each is a whole copy, and
only the newest one counts."""


class SQLCRLStore:
    """`crl.store.CRLStore` and `crl.store.DelegateStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def reserve_number(self, scope: str, *, at_least: int) -> int:
        with self._database.transaction() as connection:
            highest = _lock(connection, scope)
            number = max(highest + 1, at_least)
            connection.execute(
                update(crl_numbers).where(crl_numbers.c.scope == scope).values(number=number)
            )
        return number

    def publish(self, record: CRLRecord) -> None:
        delta = record.base is not None
        with self._database.transaction() as connection:
            _lock(connection, record.scope)
            current = connection.execute(_newest(_HEAD, record.scope, delta=delta)).first()
            if current is not None:
                _check_forwards(_head_of(current), record)
            connection.execute(
                insert(crls).values(
                    scope=record.scope,
                    number=record.number,
                    base=record.base,
                    this_update=record.this_update,
                    next_update=record.next_update,
                    position=record.position,
                    entries=record.entries,
                    der=record.der,
                )
            )
            _forget_old(connection, record)

    def find_current(self, scope: str, *, delta: bool = False) -> CRLRecord | None:
        with self._database.reading() as connection:
            row = connection.execute(_newest(select(crls), scope, delta=delta)).first()
        if row is None:
            return None
        head = _head_of(row)
        return CRLRecord(
            scope=head.scope,
            number=head.number,
            this_update=head.this_update,
            next_update=head.next_update,
            position=head.position,
            entries=head.entries,
            base=head.base,
            der=bytes(row.der),
        )

    def find_head(self, scope: str, *, delta: bool = False) -> CRLHead | None:
        with self._database.reading() as connection:
            row = connection.execute(_newest(_HEAD, scope, delta=delta)).first()
        return None if row is None else _head_of(row)

    def list_heads(self, issuer: str, *, delta: bool = False) -> Mapping[str, CRLHead]:
        # Names of issuers hold letters, digits and hyphens: nothing that LIKE would take for more.
        mine = or_(_L.scope == issuer, _L.scope.like(f"{issuer}/%"))
        kind = _L.base.is_not(None) if delta else _L.base.is_(None)
        newest = (
            select(_L.scope, func.max(_L.number).label("number"))
            .where(mine, kind)
            .group_by(_L.scope)
            .subquery()
        )
        statement = _HEAD.join(
            newest, and_(_L.scope == newest.c.scope, _L.number == newest.c.number)
        )
        with self._database.reading() as connection:
            return {row.scope: _head_of(row) for row in connection.execute(statement)}

    def find_base(self, scope: str, *, valid_at: datetime) -> CRLHead | None:
        statement = (
            _HEAD.where(_L.scope == scope, _L.base.is_(None), _L.next_update > valid_at)
            .order_by(_L.number)
            .limit(1)
        )
        with self._database.reading() as connection:
            row = connection.execute(statement).first()
        return None if row is None else _head_of(row)

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


def _lock(connection: Connection, scope: str) -> int:
    """Lock the scope's row, making it if there is none, and return the highest number drawn."""
    query = select(crl_numbers.c.number).where(crl_numbers.c.scope == scope).with_for_update()
    row = connection.execute(query).first()
    if row is None:
        try:
            with connection.begin_nested():
                connection.execute(insert(crl_numbers).values(scope=scope, number=0))
        except IntegrityError:
            pass  # another thread was faster; its row is the one to lock
        row = connection.execute(query).one()
    return int(row.number)


def _newest(columns: Select[Any], scope: str, *, delta: bool) -> Select[Any]:
    kind = _L.base.is_not(None) if delta else _L.base.is_(None)
    return columns.where(_L.scope == scope, kind).order_by(_L.number.desc()).limit(1)


def _head_of(row: Any) -> CRLHead:
    return CRLHead(
        scope=row.scope,
        number=int(row.number),
        this_update=row.this_update,
        next_update=row.next_update,
        position=int(row.position),
        entries=int(row.entries),
        base=None if row.base is None else int(row.base),
    )


def _check_forwards(current: CRLHead, record: CRLRecord) -> None:
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


def _forget_old(connection: Connection, record: CRLRecord) -> None:
    """Forget octets beyond what is kept, and rows that nobody can hold as valid any more."""
    kind = _L.base.is_(None) if record.base is None else _L.base.is_not(None)
    mine = and_(_L.scope == record.scope, kind, _L.number < record.number)
    sizes = connection.execute(
        select(_L.number, func.length(_L.der).label("size"))
        .where(mine, func.length(_L.der) > 0)
        .order_by(_L.number.desc())
    )
    left = KEPT_OCTETS - len(record.der)
    for kept, row in enumerate(sizes.all(), start=1):
        left -= row.size
        if left < 0 or kept >= KEPT_CRLS:
            older = and_(mine, _L.number <= row.number)
            connection.execute(update(crls).where(older).values(der=b""))
            break
    ended = and_(mine, func.length(_L.der) == 0, _L.next_update < record.this_update)
    connection.execute(delete(crls).where(ended))
