"""`ca.bulk.BulkStore` in SQL."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Integer, and_, bindparam, delete, func, insert, or_, select
from sqlalchemy import update as sql_update

from ca.bulk import ENDED, WORKING, Batch, BatchState, Item, ItemState, Live
from ca.serials import from_hex
from ca.sqlorganisations import in_scope
from ca.store import CertificateState
from ca.tables import certificates
from ca.tables_bulk import bulk_batches, bulk_items
from core.db import Database
from core.sqllisting import Sorting, row_of
from core.statements import Statement
from keystore.algorithms import KeyAlgorithm

_B = bulk_batches.c
_I = bulk_items.c
_C = certificates.c
_ASKED_AT_ONCE: Final = 500
_CHANGED: Final = ("state", "source", "content", "spki", "subject", "reason", "sealed")
_CHANGE_ITEM = Statement(
    sql_update(bulk_items)
    .where(_I.batch_id == bindparam("of_batch"), _I.row == bindparam("of_row"))
    .values({name: bindparam(f"to_{name}") for name in (*_CHANGED, "spki_fingerprint")})
)


_HOLD = Statement(
    sql_update(bulk_batches)
    .where(_B.id == bindparam("of_batch"), _B.holder == bindparam("of_holder"))
    .values(held_until=bindparam("until"))
    .returning(_B.state)
)
_ITEMS = Statement(
    select(bulk_items)
    .where(
        _I.batch_id == bindparam("of_batch"),
        _I.state == bindparam("of_state"),
        _I.row > bindparam("after"),
    )
    .order_by(_I.row)
    .limit(bindparam("at_most", type_=Integer))
)
_MOVE_ITEMS = (
    sql_update(bulk_items)
    .where(_I.batch_id == bindparam("of_batch"), _I.row.in_(bindparam("rows", expanding=True)))
    .values(state=bindparam("to_state"))
)


_SORTING: Final = Sorting(
    _B.number,
    created=_B.number,
    state=_B.state,
    label=_B.label,
    profile=_B.profile,
    requester=_B.requester,
)


class SQLBulkStore:
    """Batches and items on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # ---- batches --------------------------------------------------------------------------------

    def add_batch(self, batch: Batch, items: Sequence[Item]) -> None:
        values = {name: getattr(batch, name) for name in _BATCH_COLUMNS}
        rows = [
            {
                "batch_id": item.batch_id,
                "row": item.row,
                "request_id": item.request_id,
                "state": item.state,
                "source": item.source,
            }
            for item in items
        ]
        with self._database.transaction() as connection:
            connection.execute(insert(bulk_batches).values(values))
            connection.execute(insert(bulk_items), rows)

    def find_batch(self, batch_id: str, *, lock: bool = False) -> Batch | None:
        statement = select(bulk_batches).where(_B.id == batch_id)
        if lock:
            statement = statement.with_for_update()
        with self._database.reading() as connection:
            row = connection.execute(statement).first()
        return None if row is None else _batch(row)

    def list_batches(
        self,
        *,
        scope: frozenset[str] | None,
        limit: int,
        state: BatchState | None = None,
        sort: str | None = None,
        after: str | None = None,
    ) -> Sequence[Batch]:
        statement = select(bulk_batches).where(in_scope(_B.organisation_id, scope))
        if state is not None:
            statement = statement.where(_B.state == state)
        statement = _SORTING.page(statement, sort, row_of(_B.id, after)).limit(limit)
        with self._database.reading() as connection:
            return [_batch(row) for row in connection.execute(statement)]

    def list_expired(self, *, now: datetime, limit: int) -> Sequence[Batch]:
        ended = (BatchState.CHECKING, BatchState.CHECKED, *ENDED)
        statement = (
            select(bulk_batches)
            .where(_B.expires_at < now, _B.erased_at.is_(None), _B.state.in_(ended))
            .order_by(_B.number)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [_batch(row) for row in connection.execute(statement)]

    def change_batch(self, batch_id: str, expected: Sequence[BatchState], **values: object) -> bool:
        with self._database.transaction() as connection:
            changed = connection.execute(
                sql_update(bulk_batches)
                .where(_B.id == batch_id, _B.state.in_(expected))
                .values(values)
            )
            return changed.rowcount == 1

    def take_batch(
        self, holder: str, *, now: datetime, until: datetime, passing: Sequence[str] = ()
    ) -> Batch | None:
        free = or_(_B.holder.is_(None), _B.holder == holder, _B.held_until < now)
        oldest = select(_B.id).where(_B.state.in_(WORKING), free).order_by(_B.number).limit(1)
        if passing:
            oldest = oldest.where(_B.id.not_in(passing))
        with self._database.reading() as connection:
            # Most looks find nothing: they must not take the lock of all writers.
            if connection.execute(oldest).scalar() is None:
                return None
        with self._database.transaction() as connection:
            batch_id = connection.execute(oldest.with_for_update(skip_locked=True)).scalar()
            if batch_id is None:
                return None
            connection.execute(
                sql_update(bulk_batches)
                .where(_B.id == batch_id)
                .values(holder=holder, held_until=until)
            )
            return self.find_batch(batch_id)

    def hold_batch(self, batch_id: str, holder: str, *, until: datetime) -> BatchState | None:
        wanted = {"of_batch": batch_id, "of_holder": holder, "until": until}
        held = self._database.run(_HOLD, wanted).first()
        return None if held is None else BatchState(held.state)

    def free_batch(self, batch_id: str, holder: str) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                sql_update(bulk_batches)
                .where(_B.id == batch_id, _B.holder == holder)
                .values(holder=None, held_until=None)
            )

    def erase(self, batch_id: str, *, rows: bool, at: datetime) -> None:
        with self._database.transaction() as connection:
            if rows:
                connection.execute(delete(bulk_items).where(_I.batch_id == batch_id))
            else:
                connection.execute(
                    sql_update(bulk_items)
                    .where(_I.batch_id == batch_id)
                    .values(sealed=None, source="{}")
                )
            connection.execute(
                sql_update(bulk_batches)
                .where(_B.id == batch_id)
                .values(data_key=None, erased_at=at)
            )

    # ---- items ----------------------------------------------------------------------------------

    def count_items(self, batch_id: str) -> Mapping[ItemState, int]:
        statement = select(_I.state, func.count()).where(_I.batch_id == batch_id).group_by(_I.state)
        with self._database.reading() as connection:
            return {ItemState(s): int(count) for s, count in connection.execute(statement)}

    def list_items(
        self, batch_id: str, states: Sequence[ItemState], *, after: int = 0, limit: int
    ) -> Sequence[Item]:
        if len(states) == 1:
            wanted = {"of_batch": batch_id, "of_state": states[0], "after": after, "at_most": limit}
            return [_item(row) for row in self._database.run(_ITEMS, wanted).rows]
        statement = (
            select(bulk_items)
            .where(_I.batch_id == batch_id, _I.state.in_(states), _I.row > after)
            .order_by(_I.row)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [_item(row) for row in connection.execute(statement)]

    def change_items(self, items: Sequence[Item]) -> None:
        rows = [
            {f"to_{name}": getattr(item, name) for name in _CHANGED}
            | {
                "of_batch": item.batch_id,
                "of_row": item.row,
                "to_spki_fingerprint": None
                if item.spki is None
                else hashlib.sha256(item.spki).hexdigest(),
            }
            for item in items
        ]
        if rows:
            with self._database.transaction() as connection:
                _CHANGE_ITEM.run_each(connection, rows)

    def move_items(self, batch_id: str, rows: Sequence[int], state: ItemState) -> None:
        if rows:
            with self._database.transaction() as connection:
                connection.execute(
                    _MOVE_ITEMS, {"of_batch": batch_id, "rows": list(rows), "to_state": state}
                )

    def end_items(self, batch_id: str, expected: ItemState, state: ItemState) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                sql_update(bulk_items)
                .where(_I.batch_id == batch_id, _I.state == expected)
                .values(state=state)
            )

    def list_duplicates(self, batch_id: str) -> Mapping[int, int]:
        found: dict[int, int] = {}
        with self._database.reading() as connection:
            for column in (_I.subject, _I.spki_fingerprint):
                first = func.min(_I.row).over(partition_by=column).label("first")
                rows = (
                    select(_I.row, first)
                    .where(
                        _I.batch_id == batch_id, _I.state == ItemState.VALID, column.is_not(None)
                    )
                    .subquery()
                )
                statement = select(rows.c.row, rows.c.first).where(rows.c.row != rows.c.first)
                for row, of in connection.execute(statement):
                    found.setdefault(int(row), int(of))
        return found

    def list_live(
        self,
        *,
        issuer: str,
        profile: str,
        subjects: Sequence[str],
        fingerprints: Sequence[str],
        now: datetime,
    ) -> Sequence[Live]:
        alive = and_(
            _C.state.in_([CertificateState.ISSUED, CertificateState.HELD]), _C.not_after > now
        )
        columns = select(_C.subject, _C.spki_fingerprint, _C.serial, _C.organisation_id)
        found: list[Any] = []
        with self._database.reading() as connection:
            for start in range(0, len(subjects), _ASKED_AT_ONCE):
                some = subjects[start : start + _ASKED_AT_ONCE]
                same = and_(_C.issuer == issuer, _C.profile == profile, _C.subject.in_(some))
                found += connection.execute(columns.where(same, alive)).all()
            for start in range(0, len(fingerprints), _ASKED_AT_ONCE):
                some = fingerprints[start : start + _ASKED_AT_ONCE]
                found += connection.execute(
                    columns.where(_C.spki_fingerprint.in_(some), alive)
                ).all()
        return [
            Live(row.subject, row.spki_fingerprint, from_hex(row.serial), row.organisation_id)
            for row in found
        ]


_BATCH_COLUMNS: Final = tuple(field.name for field in fields(Batch))


def _batch(row: Any) -> Batch:
    values = {name: getattr(row, name) for name in _BATCH_COLUMNS}
    for name in ("recipient", "data_key"):
        values[name] = None if values[name] is None else bytes(values[name])
    values |= {
        "state": BatchState(row.state),
        "key_algorithm": KeyAlgorithm(row.key_algorithm),
    }
    return Batch(**values)


def _item(row: Any) -> Item:
    return Item(
        batch_id=row.batch_id,
        row=row.row,
        request_id=row.request_id,
        state=ItemState(row.state),
        source=row.source,
        content=row.content,
        spki=None if row.spki is None else bytes(row.spki),
        subject=row.subject,
        reason=row.reason,
        sealed=None if row.sealed is None else bytes(row.sealed),
    )
