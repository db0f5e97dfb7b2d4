"""`ca.statistics.StatisticsSource` in SQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select

from ca.sqlcounts import read_counts
from ca.sqlorganisations import ROOT
from ca.statistics import Count, Measure, StatisticsQuery
from ca.tables_organisations import organisations
from core.db import Database

_O = organisations.c


class SQLStatistics:
    """Counts on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def count(self, query: StatisticsQuery, *, now: datetime) -> Sequence[Count]:
        asked = query.organisation
        with self._database.reading() as connection:
            named = select(_O.id, _O.name).where((_O.id == asked) | (_O.parent == asked))
            names = {row.id: row.name for row in connection.execute(named)}
            alone = {asked}
            if connection.execute(select(ROOT)).scalar() == asked:
                alone.add("")  # what belongs to no organisation
            counted = read_counts(
                connection,
                whole=names.keys() - {asked},
                alone=alone,
                months=(str(query.first), str(query.last)),
                profile=query.profile,
                now=now,
            )
        lines: Counter[tuple[str, str, Measure, str | None, str | None]] = Counter()
        for one, number in counted.items():
            # Whether it ends as issued or as held is nothing that one asks.
            state = one.state if one.measure is Measure.STATE else None
            place = one.organisation or asked
            lines[place, one.profile, one.measure, state, one.month or None] += number
        counts = [
            Count(place, names[place], profile, measure, state, month, number)
            for (place, profile, measure, state, month), number in lines.items()
        ]
        return sorted(counts, key=lambda line: _order(line, asked))


def _order(line: Count, asked: str) -> tuple[Any, ...]:
    measure = tuple(Measure).index(line.measure)
    branch = (line.organisation != asked, line.name, line.organisation)
    return (*branch, line.profile, measure, line.month or "", line.state or "")
