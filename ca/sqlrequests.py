"""`ca.requests.RequestStore` in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, func, insert, or_, select
from sqlalchemy import update as sql_update
from sqlalchemy.exc import IntegrityError

from ca.operations import Operation
from ca.reasons import RevocationReason
from ca.requests import Claim, EnrollmentRecord, Move, RequestPage, RequestState, Target
from ca.serials import from_hex, to_hex
from ca.sqlorganisations import in_scope
from ca.tables import certificates, enrollment_requests, idempotency_keys
from core.db import Database
from core.errors import Conflict
from core.rows import insert_rows
from core.sqllisting import Sorting, row_number

_R = enrollment_requests.c
_K = idempotency_keys.c
_OF_ONE_CERTIFICATE: Final = 1000
_COPIED: Final = (
    *("id", "state", "issuer", "profile", "content", "needs_approval", "requester", "created_at"),
    *("decided_by", "decided_at", "operation", "needs_make", "keyless", "made_by", "made_at"),
    *(
        "organisation_id",
        "subject_id",
        "target_request",
        "reason",
        "provisional",
        "follow_up",
        "owner",
    ),
)
"""What a row holds as the record does."""


_SORTING = Sorting(_R.number, created=_R.number)


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
        self.add_requests((record,))

    def add_requests(self, records: Sequence[EnrollmentRecord]) -> None:
        rows = [
            {name: getattr(record, name) for name in _COPIED}
            | {
                "target_issuer": None if record.target is None else record.target.issuer,
                "target_serial": None if record.target is None else to_hex(record.target.serial),
                "replaces": record.replaces,
            }
            for record in records
        ]
        if not rows:
            return
        try:
            with self._database.transaction() as connection:
                # Only `replaces` and the id are unique, and the id was drawn for this one.
                replacing = any(record.replaces is not None for record in records)
                insert_rows(connection, enrollment_requests, rows, wait=replacing)
        except IntegrityError as error:
            raise Conflict("there is a request that replaces this certificate already") from error

    def find_request(self, request_id: str) -> EnrollmentRecord | None:
        with self._database.reading() as connection:
            row = connection.execute(_select().where(_R.id == request_id)).first()
        return None if row is None else _record(row)

    def list_requests(
        self,
        *,
        state: RequestState | None = None,
        scope: frozenset[str] | None = None,
        cursor: str | None = None,
        limit: int = 100,
        sort: str | None = None,
    ) -> RequestPage:
        statement = _SORTING.page(_select(), sort, row_number(cursor)).limit(limit + 1)
        if state is not None:
            statement = statement.where(_in_state(state))
        if scope is not None:
            statement = statement.where(in_scope(_R.organisation_id, scope))
        with self._database.reading() as connection:
            rows = connection.execute(statement).all()
        more = str(rows[limit - 1].number) if len(rows) > limit else None
        return RequestPage(tuple(_record(row) for row in rows[:limit]), more)

    def list_of_owner(self, owner: str, *, limit: int) -> Sequence[EnrollmentRecord]:
        statement = _select().where(_R.owner == owner).order_by(_R.number.desc()).limit(limit)
        with self._database.reading() as connection:
            return [_record(row) for row in connection.execute(statement)]

    def find_replacing(self, target: Target) -> EnrollmentRecord | None:
        with self._database.reading() as connection:
            row = connection.execute(_select().where(_R.replaces == target.name)).first()
        return None if row is None else _record(row)

    def list_for_target(self, target: Target) -> Sequence[EnrollmentRecord]:
        statement = (
            _select()
            .where(_R.target_issuer == target.issuer, _R.target_serial == to_hex(target.serial))
            .order_by(_R.number)
            .limit(_OF_ONE_CERTIFICATE)
        )
        with self._database.reading() as connection:
            return [_record(row) for row in connection.execute(statement)]

    def list_due(self, *, limit: int) -> Sequence[EnrollmentRecord]:
        reviewed = _R.state.not_in([RequestState.PENDING, RequestState.REJECTED])
        statement = (
            _select()
            .where(
                _R.follow_up.is_not(None),
                or_(
                    _R.follow_up == Operation.UNFREEZE,
                    and_(_R.follow_up == Operation.REISSUE, reviewed),
                    certificates.c.issued_at.is_not(None),
                ),
            )
            .order_by(_R.number)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [_record(row) for row in connection.execute(statement)]

    def clear_follow_up(self, request_id: str) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                sql_update(enrollment_requests).where(_R.id == request_id).values(follow_up=None)
            )

    def move(self, move: Move) -> bool:
        expected: ColumnElement[bool] = _R.state.in_(move.expected)
        if move.abandoned_before is not None:
            since = func.coalesce(_R.made_at, _R.decided_at)
            abandoned = and_(_R.state == RequestState.APPROVED, since < move.abandoned_before)
            expected = or_(expected, abandoned)
        with self._database.transaction() as connection:
            changed = connection.execute(
                sql_update(enrollment_requests)
                .where(_R.id == move.request_id, expected)
                .values(_values(move))
            )
            return changed.rowcount == 1

    def reopen(self, request_id: str, state: RequestState) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                sql_update(enrollment_requests)
                .where(_R.id == request_id, _R.state == RequestState.APPROVED)
                .values(state=state)
            )


def _values(move: Move) -> dict[str, Any]:
    values: dict[str, Any] = {"state": move.state}
    if move.decided_by is not None:
        values |= {"decided_by": move.decided_by, "decided_at": move.at, "comment": move.comment}
    if move.made_by is not None:
        values |= {"made_by": move.made_by, "made_at": move.at}
    if move.content is not None:
        values["content"] = move.content
    if move.state is RequestState.REJECTED:
        # The certificate may be replaced by another request; what was due is not any more.
        values |= {"replaces": None, "follow_up": move.follow_up}
    return values


def _select() -> Select[Any]:
    return select(
        enrollment_requests,
        certificates.c.issuer.label("issued_by"),
        certificates.c.serial,
        certificates.c.issued_at,
    ).outerjoin(certificates, certificates.c.request_id == _R.id)


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
        issued_by=row.issued_by if issued else None,
        serial=from_hex(row.serial) if issued else None,
        operation=Operation(row.operation),
        needs_make=row.needs_make,
        keyless=row.keyless,
        made_by=row.made_by,
        made_at=row.made_at,
        organisation_id=row.organisation_id,
        subject_id=row.subject_id,
        target=None
        if row.target_serial is None
        else Target(row.target_issuer, from_hex(row.target_serial)),
        target_request=row.target_request,
        reason=None if row.reason is None else RevocationReason(row.reason),
        provisional=row.provisional,
        follow_up=None if row.follow_up is None else Operation(row.follow_up),
        owner=row.owner,
    )
