"""Re-audit: the counts that are kept, beside those of the certificates (docs/decisions/0234)."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    cast,
    func,
    literal,
    select,
    union_all,
)

from ca.sqlcounts import month_in
from ca.sqlkeptcounts import ALIVE, Counted, above, measures
from ca.statistics import Measure
from ca.store import CertificateState
from ca.tables import certificates
from ca.tables_counts import certificate_count_changes, certificate_counts
from core.db import Database

_C = certificates.c
_D = certificate_count_changes.c
_K = certificate_counts.c
_COUNTED: Final = (*ALIVE, CertificateState.REVOKED)
_PLACES: Final = 10_000
"""PostgreSQL takes at most 65,535 values in a statement."""

Sums = Counter[tuple[bool, Counted]]
"""By what is counted: of an organisation alone, or (True) with all below it."""


def astray(database: Database) -> dict[tuple[bool, Counted], tuple[int, int]]:
    """Return what is kept and what there is, by what is counted, wherever the two differ.

    What is noted and not added up yet counts as kept. Certificates and what is kept are read in one
    statement, so that they are of one moment; a branch that moves just then may show as a
    difference that is none when asked again.
    """
    there: Sums = Counter()
    kept: Sums = Counter()
    with database.reading() as connection:
        alone: dict[str, Counter[Counted]] = {"there": Counter(), "changed": Counter()}
        for row in connection.execute(_all(connection)):
            if row.kind == "kept":
                one = Counted(row.organisation, row.profile, Measure(row.one), row.state, row.two)
                kept[row.whole, one] += row.number
                continue
            for measure, state, month in measures(row.state, row.one, row.two, row.three):
                one = Counted(row.organisation, row.profile, measure, state, month)
                alone[row.kind][one] += row.number
        places = sorted({one.organisation for sums in alone.values() for one in sums})
        branches: dict[str, list[str]] = {}
        for first in range(0, len(places), _PLACES):
            branches |= above(connection, places[first : first + _PLACES])
    for sums, placed in ((there, alone["there"]), (kept, alone["changed"])):
        for one, number in placed.items():
            sums[False, one] += number
            for ancestor in branches.get(one.organisation, ()):
                sums[True, one._replace(organisation=ancestor)] += number
    return {
        key: (kept[key], there[key])
        for key in sorted(kept.keys() | there.keys())
        if kept[key] != there[key]
    }


def _all(connection: Connection) -> Select[Any]:
    """Count certificates and what was noted by all that matters, beside what is kept."""
    return select(
        union_all(
            _grouped(connection, "there", _C, func.count()).where(_C.state.in_(_COUNTED)),
            _grouped(connection, "changed", _D, func.sum(_D.weight)),
            select(
                literal("kept"),
                *(_K.organisation_id, _K.whole, _K.profile, _K.state),
                *(_K.measure, _K.month, literal("")),
                _K.number,
            ),
        ).subquery()
    )


def _grouped(connection: Connection, kind: str, of: Any, number: ColumnElement[Any]) -> Select[Any]:
    entry = (of.organisation_id, of.profile, of.state)
    months = [month_in(connection, one) for one in (of.issued_at, of.revoked_at, of.not_after)]
    return select(
        literal(kind).label("kind"),
        func.coalesce(of.organisation_id, "").label("organisation"),
        literal(False).label("whole"),
        of.profile,
        of.state,
        *(one.label(name) for one, name in zip(months, ("one", "two", "three"), strict=True)),
        cast(number, BigInteger).label("number"),
    ).group_by(*entry, *months)
