"""`ca.overview.OverviewSource` in SQL: kept counts, and what ends soon from an index alone."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, case, func, select

from ca.overview import HORIZONS, Overview, Scope
from ca.sqlcounts import EXPIRED, read_counts
from ca.sqlkeptcounts import ALIVE
from ca.sqlorganisations import ROOT, in_scope
from ca.statistics import Measure
from ca.store import CertificateState
from ca.tables import certificates
from ca.tables_organisations import organisation_closure
from core.db import Database

_C = certificates.c
_A = organisation_closure.c


class SQLOverviews:
    """Counts on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def overview(self, scope: Scope, *, now: datetime) -> Overview:
        with self._database.reading() as connection:
            counted = read_counts(
                connection,
                whole=_tops(connection, scope),
                alone=("",) if scope is None else (),
                months=_NO_MONTH,
                now=now,
            )
            expiring = _expiring(connection, scope, now)
        states: dict[str, int] = {}
        for one, number in counted.items():
            if one.measure is Measure.STATE:
                states[one.state] = states.get(one.state, 0) + number
        return Overview(
            at=now,
            valid=states.get(CertificateState.ISSUED, 0),
            held=states.get(CertificateState.HELD, 0),
            revoked=states.get(CertificateState.REVOKED, 0),
            expired=states.get(EXPIRED, 0),
            expiring=expiring,
        )


_NO_MONTH = ("-", "-")


def _tops(connection: Connection, scope: Scope) -> Collection[str]:
    """Return the branches of a scope, none of which is within another."""
    if scope is None:
        root = connection.execute(select(ROOT)).scalar()
        return () if root is None else (root,)
    inner = select(_A.descendant).where(
        _A.ancestor.in_(scope), _A.descendant.in_(scope), _A.ancestor != _A.descendant
    )
    return scope - set(connection.execute(inner).scalars())


def _expiring(connection: Connection, scope: Scope, now: datetime) -> dict[int, int]:
    columns = [
        func.coalesce(func.sum(case((_C.not_after < now + timedelta(days=days), 1), else_=0)), 0)
        for days in HORIZONS
    ]
    statement = select(*columns).where(
        _C.state.in_(ALIVE),
        _C.not_after >= now,
        _C.not_after < now + timedelta(days=max(HORIZONS)),
    )
    if scope is not None:
        statement = statement.where(in_scope(_C.organisation_id, scope))
    row: Any = connection.execute(statement).one()
    return dict(zip(HORIZONS, row, strict=True))
