"""`ca.notices.NoticeStore` in SQL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, insert, or_, select
from sqlalchemy import update as sql_update

from ca.notices import Channel, Notice, NoticePage, NoticeState
from ca.sqlinventory import record_of
from ca.sqlorganisations import in_scope
from ca.sqlstore import SQLCertificateStore
from ca.store import CertificateQuery, CertificateRecord, CertificateState
from ca.tables import certificates
from ca.tables_notices import notice_scans, notices
from ca.terms import terms_of
from core.db import Database
from core.errors import Malformed
from core.sqllisting import Sorting, row_number

_C = certificates.c
_N = notices.c
_S = notice_scans.c
_MAX_CURSOR_DIGITS = 18


_SORTING = Sorting(_N.id, created=_N.id, due=_N.due_at)


class SQLNoticeStore:
    """Notices on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._certificates = SQLCertificateStore(database)

    def next_expiring(
        self, days: int, *, after: datetime, before: datetime, limit: int
    ) -> Sequence[tuple[int, CertificateRecord]]:
        with self._database.reading() as connection:
            seen = connection.execute(select(notice_scans).where(_S.days == days)).first()
            statement = (
                select(certificates)
                .where(_C.state == CertificateState.ISSUED)
                .where(_C.not_after > after, _C.not_after <= before)
                .order_by(_C.not_after, _C.id)
                .limit(limit)
            )
            if seen is not None:
                behind = and_(_C.not_after == seen.not_after, _C.id > seen.certificate_id)
                statement = statement.where(or_(_C.not_after > seen.not_after, behind))
            rows = connection.execute(statement).all()
        return [(int(row.id), record_of(row)) for row in rows]

    def is_replaced(self, record: CertificateRecord) -> bool:
        # By the words of the subject: there is no index over whole subjects.
        query = CertificateQuery(
            text=" ".join(terms_of(record.subject)),
            profile=record.profile,
            state=CertificateState.ISSUED,
            expires_after=record.not_after,
        )
        try:
            page = self._certificates.search_certificates(query)
        except Malformed:
            return False
        return any(
            one.subject == record.subject and one.not_after > record.not_after for one in page.items
        )

    def plan(
        self,
        certificate_ids: Iterable[int],
        days: int,
        channels: Iterable[Channel],
        *,
        at: datetime,
    ) -> None:
        rows = [
            {
                "certificate_id": number,
                "days": days,
                "channel": channel,
                "state": NoticeState.WAITING,
                "attempts": 0,
                "due_at": at,
            }
            for number in certificate_ids
            for channel in channels
        ]
        if rows:
            with self._database.transaction() as connection:
                connection.execute(insert(notices), rows)

    def mark_seen(self, days: int, *, not_after: datetime, certificate_id: int) -> None:
        values = {"not_after": not_after, "certificate_id": certificate_id}
        with self._database.transaction() as connection:
            moved = connection.execute(
                sql_update(notice_scans).where(_S.days == days).values(values)
            )
            if moved.rowcount == 0:
                connection.execute(insert(notice_scans).values(days=days, **values))

    def list_due(self, channel: Channel, *, at: datetime, limit: int) -> Sequence[Notice]:
        statement = (
            _joined()
            .where(_N.state == NoticeState.WAITING, _N.channel == channel, _N.due_at <= at)
            .order_by(_N.due_at, _N.id)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [_notice(row) for row in connection.execute(statement)]

    def finish(
        self,
        ids: Iterable[int],
        state: NoticeState,
        *,
        at: datetime,
        error: str | None = None,
    ) -> None:
        sent_at = at if state is NoticeState.SENT else None
        self._change(ids, {"state": state, "due_at": at, "sent_at": sent_at, "error": error})

    def postpone(self, ids: Iterable[int], *, until: datetime, error: str) -> None:
        values = {"due_at": until, "error": error, "attempts": _N.attempts + 1}
        self._change(ids, values)

    def list_notices(
        self,
        *,
        state: NoticeState | None,
        scope: frozenset[str] | None,
        cursor: str | None,
        limit: int,
        sort: str | None = None,
    ) -> NoticePage:
        statement = _SORTING.page(_joined(), sort, row_number(cursor)).limit(limit + 1)
        statement = statement.where(in_scope(_C.organisation_id, scope))
        if state is not None:
            statement = statement.where(_N.state == state)
        with self._database.reading() as connection:
            found = [_notice(row) for row in connection.execute(statement)]
        more = str(found[limit - 1].id) if len(found) > limit else None
        return NoticePage(tuple(found[:limit]), more)

    def _change(self, ids: Iterable[int], values: dict[str, Any]) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                sql_update(notices)
                .where(_N.id.in_(tuple(ids)), _N.state == NoticeState.WAITING)
                .values(values)
            )


def _joined() -> Select[Any]:
    columns = (
        _N.id.label("notice_id"),
        _N.state.label("notice_state"),
        *(_N.days, _N.channel, _N.attempts, _N.due_at, _N.sent_at, _N.error),
    )
    return select(certificates, *columns).join(notices, _N.certificate_id == _C.id)


def _notice(row: Any) -> Notice:
    return Notice(
        id=int(row.notice_id),
        certificate=record_of(row),
        days=row.days,
        channel=Channel(row.channel),
        state=NoticeState(row.notice_state),
        attempts=row.attempts,
        due_at=row.due_at,
        sent_at=row.sent_at,
        error=row.error,
    )
