"""`ca.overview.OverviewSource` in SQL: one pass over the index of states and ends."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, case, func, select

from ca.overview import HORIZONS, Overview, Scope
from ca.sqlorganisations import in_scope
from ca.store import CertificateState
from ca.tables import certificates
from core.db import Database

_C = certificates.c
_ALIVE = (CertificateState.ISSUED, CertificateState.HELD)


class SQLOverviews:
    """Counts on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def overview(self, scope: Scope, *, now: datetime) -> Overview:
        ended = _C.not_after < now
        alive = _C.state.in_(_ALIVE) & ~ended
        columns = {
            "valid": (_C.state == CertificateState.ISSUED) & ~ended,
            "held": (_C.state == CertificateState.HELD) & ~ended,
            "revoked": _C.state == CertificateState.REVOKED,
            "expired": _C.state.in_(_ALIVE) & ended,
        } | {
            f"within_{days}": alive & (_C.not_after < now + timedelta(days=days))
            for days in HORIZONS
        }
        statement = select(*(_count(name, condition) for name, condition in columns.items()))
        if scope is not None:
            statement = statement.where(in_scope(_C.organisation_id, scope))
        with self._database.reading() as connection:
            row: Any = connection.execute(statement).one()._mapping  # noqa: SLF001 - its public name
        return Overview(
            at=now,
            valid=row["valid"],
            held=row["held"],
            revoked=row["revoked"],
            expired=row["expired"],
            expiring={days: row[f"within_{days}"] for days in HORIZONS},
        )


def _count(name: str, condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0).label(name)
