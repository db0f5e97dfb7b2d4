"""`ca.statistics.StatisticsSource` in SQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    case,
    func,
    literal,
    null,
    select,
    union_all,
)

from ca.sqlorganisations import ROOT
from ca.statistics import Count, Measure, StatisticsQuery
from ca.store import CertificateState
from ca.tables import certificates
from ca.tables_organisations import organisation_closure, organisations
from core.db import Database

_C = certificates.c
_A = organisation_closure.c
_O = organisations.c
_ALIVE = (CertificateState.ISSUED, CertificateState.HELD)


class SQLStatistics:
    """Counts on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def count(self, query: StatisticsQuery, *, now: datetime) -> Sequence[Count]:
        with self._database.reading() as connection:
            named = select(_O.id, _O.name).where(
                (_O.id == query.organisation) | (_O.parent == query.organisation)
            )
            names = {row.id: row.name for row in connection.execute(named)}
            is_root = connection.execute(select(ROOT)).scalar() == query.organisation
            branches = _branches(query.organisation, is_root=is_root)
            counts = [
                Count(
                    organisation=row.branch,
                    name=names[row.branch],
                    profile=row.profile,
                    measure=measure,
                    state=row.state,
                    month=row.month,
                    count=row.number,
                )
                for measure, statement in _statements(connection, branches, query, now)
                for row in connection.execute(statement)
            ]
        return sorted(counts, key=lambda line: _order(line, query.organisation))


def _order(line: Count, asked: str) -> tuple[Any, ...]:
    measure = tuple(Measure).index(line.measure)
    branch = (line.organisation != asked, line.name, line.organisation)
    return (*branch, line.profile, measure, line.month or "", line.state or "")


def _branches(asked: str, *, is_root: bool) -> Select[Any]:
    """Select certificates with the branch they count in."""
    branches = union_all(
        select(_A.descendant, _A.ancestor.label("branch"))
        .join(organisations, _O.id == _A.ancestor)
        .where(_O.parent == asked),
        select(literal(asked), literal(asked)),
    ).subquery("branches")
    # What belongs to no organisation belongs to the root. For every other one the plain column
    # lets the database use its index.
    owner = func.coalesce(_C.organisation_id, asked) if is_root else _C.organisation_id
    return (
        select(branches.c.branch, _C.profile)
        .select_from(certificates)
        .join(branches, branches.c.descendant == owner)
        .group_by(branches.c.branch, _C.profile)
    )


def _statements(
    connection: Connection, branches: Select[Any], query: StatisticsQuery, now: datetime
) -> Iterator[tuple[Measure, Select[Any]]]:
    if query.profile is not None:
        branches = branches.where(_C.profile == query.profile)
    number = func.count().label("number")
    expired = _C.state.in_(_ALIVE) & (_C.not_after < now)
    state = case((expired, literal("expired")), else_=_C.state).label("state")
    yield (
        Measure.STATE,
        branches.add_columns(state, null().label("month"), number).group_by(state),
    )
    begin, end = query.first.begin, query.last.plus(1).begin
    for measure, column, condition in (
        (Measure.ISSUED, _C.issued_at, _C.issued_at.is_not(None)),
        (Measure.REVOKED, _C.revoked_at, _C.state == CertificateState.REVOKED),
        (Measure.EXPIRING, _C.not_after, _C.state.in_(_ALIVE)),
    ):
        month = _month(connection, column).label("month")
        yield (
            measure,
            branches.add_columns(null().label("state"), month, number)
            .where(condition, column >= begin, column < end)
            .group_by(month),
        )


def _month(connection: Connection, column: ColumnElement[Any]) -> ColumnElement[str]:
    if connection.dialect.name == "postgresql":
        return func.to_char(func.timezone("UTC", column), "YYYY-MM")
    return func.strftime("%Y-%m", column)
