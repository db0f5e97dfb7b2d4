"""`ca.desk_store.DeskStore` in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import case, func, insert, select
from sqlalchemy import update as sql_update
from sqlalchemy.exc import IntegrityError

from ca.desk_store import DeskCount, DeskPage, DeskQuery, DeskRecord, DeskState
from ca.operations import ISSUING, Operation
from ca.sqlorganisations import in_scope
from ca.tables_registrars import desk_acts
from core.db import Database
from core.errors import Conflict
from core.sqllisting import Sorting, row_number

_D = desk_acts.c
_ASKED_AT_ONCE: Final = 500
_COPIED: Final = (
    *("id", "profile", "organisation_id", "body", "requester", "created_at", "decided_by"),
    *("decided_at", "comment", "answered_at", "outcome", "issuer", "serial", "keyless"),
    *("subject", "not_after", "wanted", "envelope"),
)


_SORTING = Sorting(_D.number, created=_D.number)


class SQLDeskStore:
    """Acts on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, record: DeskRecord) -> None:
        values = {name: getattr(record, name) for name in (*_COPIED, "state", "operation")}
        try:
            with self._database.transaction() as connection, connection.begin_nested():
                connection.execute(insert(desk_acts).values(values))
        except IntegrityError as error:
            raise Conflict("the same request is being entered already") from error

    def find(self, act_id: str) -> DeskRecord | None:
        return self._first(_D.id == act_id)

    def find_given(self, issuer: str, serial: str) -> DeskRecord | None:
        given = (_D.issuer == issuer, _D.serial == serial, _D.operation.in_(ISSUING))
        return self._first(*given)

    def find_all(self, act_ids: Sequence[str]) -> Mapping[str, DeskRecord]:
        found: dict[str, DeskRecord] = {}
        with self._database.reading() as connection:
            for start in range(0, len(act_ids), _ASKED_AT_ONCE):
                some = act_ids[start : start + _ASKED_AT_ONCE]
                rows = connection.execute(select(desk_acts).where(_D.id.in_(some)))
                found |= {row.id: _record(row) for row in rows}
        return found

    def list_live(
        self, profile: str, subjects: Sequence[str], *, now: datetime
    ) -> Sequence[DeskRecord]:
        later = desk_acts.alias("later").c
        revoked = (
            select(later.id)
            .where(later.issuer == _D.issuer, later.serial == _D.serial)
            .where(later.operation == Operation.REVOKE, later.state == DeskState.DONE)
            .exists()
        )
        given = (_D.state == DeskState.DONE, _D.operation.in_(ISSUING), _D.profile == profile)
        statement = select(desk_acts).where(*given, _D.not_after > now, ~revoked)
        found: list[DeskRecord] = []
        with self._database.reading() as connection:
            for start in range(0, len(subjects), _ASKED_AT_ONCE):
                some = subjects[start : start + _ASKED_AT_ONCE]
                rows = connection.execute(statement.where(_D.subject.in_(some)))
                found += [_record(row) for row in rows]
        return found

    def list_acts(
        self,
        query: DeskQuery,
        *,
        scope: frozenset[str] | None,
        cursor: str | None,
        limit: int,
        sort: str | None = None,
    ) -> DeskPage:
        chosen = select(desk_acts).where(in_scope(_D.organisation_id, scope), *_conditions(query))
        statement = _SORTING.page(chosen, sort, row_number(cursor)).limit(limit + 1)
        with self._database.reading() as connection:
            rows = connection.execute(statement).all()
        more = str(rows[limit - 1].number) if len(rows) > limit else None
        return DeskPage(tuple(_record(row) for row in rows[:limit]), more)

    def count(
        self, *, first: datetime, until: datetime, scope: frozenset[str] | None
    ) -> Sequence[DeskCount]:
        kinds = (_D.organisation_id, _D.operation, _D.profile, _D.state)
        statement = (
            select(*kinds, func.count().label("number"))
            .where(in_scope(_D.organisation_id, scope))
            .where(_D.created_at >= first, _D.created_at < until)
            .group_by(*kinds)
            .order_by(*kinds)
        )
        with self._database.reading() as connection:
            return [
                DeskCount(
                    row.organisation_id,
                    Operation(row.operation),
                    row.profile,
                    DeskState(row.state),
                    row.number,
                )
                for row in connection.execute(statement)
            ]

    def list_sent(self, *, limit: int) -> Sequence[DeskRecord]:
        gives = _D.operation.in_(ISSUING)
        turn = case((gives, _D.answered_at))  # a change of status never loses its turn
        statement = (
            select(desk_acts)
            .where(_D.state == DeskState.SENT)
            .order_by(gives, turn.is_not(None), turn, _D.number)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [_record(row) for row in connection.execute(statement)]

    def change(
        self, act_id: str, expected: DeskState, values: Mapping[str, str | datetime | None]
    ) -> bool:
        with self._database.transaction() as connection:
            changed = connection.execute(
                sql_update(desk_acts)
                .where(_D.id == act_id, _D.state == expected)
                .values(dict(values))
            )
            return changed.rowcount == 1

    def _first(self, *conditions: Any) -> DeskRecord | None:
        with self._database.reading() as connection:
            row = connection.execute(select(desk_acts).where(*conditions)).first()
        return None if row is None else _record(row)


def _conditions(query: DeskQuery) -> list[Any]:
    found: list[Any] = []
    if query.state is not None:
        found.append(_D.state == query.state)
    if query.operation is not None:
        found.append(_D.operation == query.operation)
    if query.serial is not None:
        found.append(_D.serial == query.serial)
    if query.subject is not None:
        found.append(_D.subject.contains(query.subject, autoescape=True))
    return found


def _record(row: Any) -> DeskRecord:
    return DeskRecord(
        state=DeskState(row.state),
        operation=Operation(row.operation),
        **{name: getattr(row, name) for name in _COPIED},
    )
