"""`ca.statistics.StatisticsSource` in SQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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
)

from ca.sqlorganisations import ROOT, below
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
            branch_of = _branches(connection, query.organisation)
            # Counted by organisation in the database and put together here: a join with the tree
            # would be done once for each certificate.
            counted: Counter[tuple[str, str, Measure, str | None, str | None]] = Counter()
            for measure, statement in _statements(connection, query, branch_of, now):
                for row in connection.execute(statement):
                    branch = branch_of[row.organisation_id]
                    counted[branch, row.profile, measure, row.state, row.month] += row.number
        counts = [
            Count(branch, names[branch], profile, measure, state, month, number)
            for (branch, profile, measure, state, month), number in counted.items()
        ]
        return sorted(counts, key=lambda line: _order(line, query.organisation))


def _order(line: Count, asked: str) -> tuple[Any, ...]:
    measure = tuple(Measure).index(line.measure)
    branch = (line.organisation != asked, line.name, line.organisation)
    return (*branch, line.profile, measure, line.month or "", line.state or "")


def _branches(connection: Connection, asked: str) -> Mapping[str | None, str]:
    """Return in which branch each organisation counts; None: what belongs to no organisation."""
    below_asked = (
        select(_A.descendant, _A.ancestor)
        .join(organisations, _O.id == _A.ancestor)
        .where(_O.parent == asked)
    )
    found: dict[str | None, str] = {
        row.descendant: row.ancestor for row in connection.execute(below_asked)
    }
    if connection.execute(select(ROOT)).scalar() == asked:
        found[None] = asked
    return found | {asked: asked}


def _statements(
    connection: Connection,
    query: StatisticsQuery,
    branch_of: Mapping[str | None, str],
    now: datetime,
) -> Iterator[tuple[Measure, Select[Any]]]:
    base = select(_C.organisation_id, _C.profile, func.count().label("number")).group_by(
        _C.organisation_id, _C.profile
    )
    if None not in branch_of:
        base = base.where(_C.organisation_id.in_(below([query.organisation])))
    if query.profile is not None:
        base = base.where(_C.profile == query.profile)
    expired = _C.state.in_(_ALIVE) & (_C.not_after < now)
    state = case((expired, literal("expired")), else_=_C.state).label("state")
    yield Measure.STATE, base.add_columns(state, null().label("month")).group_by(state)
    begin, end = query.first.begin, query.last.plus(1).begin
    for measure, column, condition in (
        (Measure.ISSUED, _C.issued_at, _C.issued_at.is_not(None)),
        (Measure.REVOKED, _C.revoked_at, _C.state == CertificateState.REVOKED),
        (Measure.EXPIRING, _C.not_after, _C.state.in_(_ALIVE)),
    ):
        month = _month(connection, column).label("month")
        yield (
            measure,
            base.add_columns(null().label("state"), month)
            .where(condition, column >= begin, column < end)
            .group_by(month),
        )


def _month(connection: Connection, column: ColumnElement[Any]) -> ColumnElement[str]:
    if connection.dialect.name == "postgresql":
        return func.to_char(func.timezone("UTC", column), "YYYY-MM")
    return func.strftime("%Y-%m", column)
