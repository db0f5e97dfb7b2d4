"""`ca.requests.RequestStore` in SQL."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, insert, or_, select
from sqlalchemy import update as sql_update
from sqlalchemy.exc import IntegrityError

from ca.requests import Claim, EnrollmentRecord, RequestPage, RequestState
from ca.serials import from_hex
from ca.tables import certificates, enrollment_requests, idempotency_keys
from core.db import Database
from core.errors import Malformed

_R = enrollment_requests.c
_K = idempotency_keys.c


class SQLRequestStore:
    """Requests and idempotency keys on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, caller: str, key: str, wanted: Claim, *, now: datetime) -> Claim:
        try:
            with self._database.transaction() as connection, connection.begin_nested():
                connection.execute(
                    insert(idempotency_keys).values(
                        caller=caller,
                        key=key,
                        body_hash=wanted.body_hash,
                        request_id=wanted.request_id,
                        created_at=now,
                    )
                )
        except IntegrityError:
            found = self.find_claim(caller, key)
            if found is None:
                raise
            return found
        return wanted

    def find_claim(self, caller: str, key: str) -> Claim | None:
        statement = select(_K.request_id, _K.body_hash).where(_K.caller == caller, _K.key == key)
        with self._database.reading() as connection:
            row = connection.execute(statement).first()
        return None if row is None else Claim(row.request_id, row.body_hash)

    def add_request(self, record: EnrollmentRecord) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                insert(enrollment_requests).values(
                    id=record.id,
                    state=record.state,
                    issuer=record.issuer,
                    profile=record.profile,
                    content=record.content,
                    needs_approval=record.needs_approval,
                    requester=record.requester,
                    created_at=record.created_at,
                    decided_by=record.decided_by,
                    decided_at=record.decided_at,
                )
            )

    def find_request(self, request_id: str) -> EnrollmentRecord | None:
        with self._database.reading() as connection:
            row = connection.execute(_select().where(_R.id == request_id)).first()
        return None if row is None else _record(row)

    def list_requests(
        self, *, state: RequestState | None = None, cursor: str | None = None, limit: int = 100
    ) -> RequestPage:
        statement = _select().order_by(_R.number.desc()).limit(limit + 1)
        if state is not None:
            statement = statement.where(_in_state(state))
        if cursor is not None:
            if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 18:
                raise Malformed("the cursor is not one that a page of this list gave")
            statement = statement.where(_R.number < int(cursor))
        with self._database.reading() as connection:
            rows = connection.execute(statement).all()
        more = str(rows[limit - 1].number) if len(rows) > limit else None
        return RequestPage(tuple(_record(row) for row in rows[:limit]), more)

    def decide(
        self,
        request_id: str,
        state: RequestState,
        *,
        by: str,
        comment: str | None,
        at: datetime,
        stale_before: datetime,
    ) -> bool:
        abandoned = and_(_R.state == RequestState.APPROVED, _R.decided_at < stale_before)
        expected = _R.state == RequestState.PENDING
        if state is RequestState.APPROVED:
            expected = or_(expected, abandoned)
        with self._database.transaction() as connection:
            changed = connection.execute(
                sql_update(enrollment_requests)
                .where(_R.id == request_id, expected)
                .values(state=state, decided_by=by, decided_at=at, comment=comment)
            )
            return changed.rowcount == 1

    def reopen(self, request_id: str) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                sql_update(enrollment_requests)
                .where(_R.id == request_id, _R.state == RequestState.APPROVED)
                .values(state=RequestState.PENDING)
            )


def _select() -> Select[Any]:
    return select(enrollment_requests, certificates.c.serial, certificates.c.issued_at).outerjoin(
        certificates, certificates.c.request_id == _R.id
    )


def _in_state(state: RequestState) -> Any:
    issued = certificates.c.issued_at.is_not(None)
    if state is RequestState.ISSUED:
        return issued
    return and_(_R.state == state, certificates.c.issued_at.is_(None))


def _record(row: Any) -> EnrollmentRecord:
    issued = row.issued_at is not None
    return EnrollmentRecord(
        id=row.id,
        state=RequestState.ISSUED if issued else RequestState(row.state),
        issuer=row.issuer,
        profile=row.profile,
        content=row.content,
        needs_approval=row.needs_approval,
        requester=row.requester,
        created_at=row.created_at,
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        comment=row.comment,
        serial=from_hex(row.serial) if issued else None,
    )
