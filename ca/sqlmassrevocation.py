"""`ca.massrevocation_store.MassRevocationStore` in SQL."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, insert, select
from sqlalchemy import update as sql_update

from ca.massrevocation_store import Chosen, MassRevocation, MassState, Preview, Selection
from ca.reasons import RevocationReason
from ca.serials import from_hex
from ca.sqlorganisations import in_scope
from ca.store import CertificateState
from ca.tables import certificates
from ca.tables_massrevocation import mass_revocations
from core.db import Database
from core.sqllisting import Sorting, row_of

_C = certificates.c
_M = mass_revocations.c
_STATES = (CertificateState.RESERVED, CertificateState.ISSUED, CertificateState.HELD)


_SORTING = Sorting(
    _M.number,
    created=_M.number,
    state=_M.state,
    reason=_M.reason,
    actor=_M.actor,
    expected=_M.expected,
)


class SQLMassRevocationStore:
    """Mass revocations on one database. `never` tells the profiles that are in no selection."""

    def __init__(self, database: Database, *, never: Callable[[], Collection[str]]) -> None:
        self._database = database
        self._never = never

    def preview(self, selection: Selection, *, now: datetime, first: int) -> Preview:
        grouped = select(_C.issuer, _C.profile, func.count().label("number")).group_by(
            _C.issuer, _C.profile
        )
        with self._database.reading() as connection:
            rows = connection.execute(self._chosen(grouped, selection, now)).all()
        counts = {(row.issuer, row.profile): int(row.number) for row in rows}
        shown = self.choose(selection, now=now, after=0, limit=first)
        return Preview(sum(counts.values()), counts, shown)

    def choose(
        self, selection: Selection, *, now: datetime, after: int, limit: int
    ) -> Sequence[Chosen]:
        columns = select(_C.id, _C.issuer, _C.serial, _C.subject, _C.profile)
        statement = self._chosen(columns, selection, now).where(_C.id > after)
        with self._database.reading() as connection:
            rows = connection.execute(statement.order_by(_C.id).limit(limit)).all()
        return [
            Chosen(int(row.id), row.issuer, from_hex(row.serial), row.subject, row.profile)
            for row in rows
        ]

    def add_mass_revocation(self, job: MassRevocation) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                insert(mass_revocations).values(
                    id=job.id,
                    state=job.state,
                    selection=json.dumps(job.selection.document()),
                    reason=job.reason,
                    actor=job.actor,
                    created_at=job.created_at,
                    expected=job.expected,
                    position=job.position,
                    revoked=job.revoked,
                    refused=job.refused,
                )
            )

    def find_mass_revocation(self, job_id: str, *, lock: bool = False) -> MassRevocation | None:
        statement = select(mass_revocations).where(_M.id == job_id)
        with self._database.reading() as connection:
            row = connection.execute(statement.with_for_update() if lock else statement).first()
        return None if row is None else _job(row)

    def list_mass_revocations(
        self,
        *,
        state: MassState | None = None,
        limit: int,
        sort: str | None = None,
        after: str | None = None,
    ) -> Sequence[MassRevocation]:
        statement = _SORTING.page(select(mass_revocations), sort, row_of(_M.id, after)).limit(limit)
        if state is not None:
            statement = statement.where(_M.state == state)
        with self._database.reading() as connection:
            return [_job(row) for row in connection.execute(statement)]

    def move_mass_revocation(self, job: MassRevocation) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                sql_update(mass_revocations)
                .where(_M.id == job.id)
                .values(
                    state=job.state,
                    position=job.position,
                    revoked=job.revoked,
                    refused=job.refused,
                    finished_at=job.finished_at,
                )
            )

    def _chosen(self, statement: Select[Any], selection: Selection, now: datetime) -> Select[Any]:
        statement = statement.where(
            _C.state.in_(_STATES), _C.not_after > now, _C.profile.not_in(self._never())
        )
        exact = {
            _C.issuer: selection.issuer,
            _C.profile: selection.profile,
            _C.spki_fingerprint: selection.spki_fingerprint,
        }
        for column, value in exact.items():
            if value is not None:
                statement = statement.where(column == value)
        if selection.serials:
            statement = statement.where(_C.serial.in_(selection.serials))
        if selection.organisation is not None:
            scope = frozenset({selection.organisation})
            statement = statement.where(in_scope(_C.organisation_id, scope))
        # By when the intent was written: what is being signed counts too.
        if selection.issued_after is not None:
            statement = statement.where(_C.reserved_at >= selection.issued_after)
        if selection.issued_before is not None:
            statement = statement.where(_C.reserved_at <= selection.issued_before)
        return statement


def _job(row: Any) -> MassRevocation:
    return MassRevocation(
        id=row.id,
        state=MassState(row.state),
        selection=Selection.of(json.loads(row.selection)),
        reason=RevocationReason(row.reason),
        actor=row.actor,
        created_at=row.created_at,
        expected=row.expected,
        position=int(row.position),
        revoked=row.revoked,
        refused=row.refused,
        finished_at=row.finished_at,
    )
