"""Single logout in the database."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, literal, select, update
from sqlalchemy.dialects import postgresql

from authn.logout.store import Backlog, Channel, Delivery, Participation
from authn.logout.tables import deliveries, participations
from core.db import Database
from core.statements import Statement
from core.steps import Statements

_DUE = Statement(select(deliveries.c.id).where(deliveries.c.due_at <= bindparam("now")).limit(1))
# Both databases write it like this: known already, or by another login at the same moment.
_TAKE_PART = Statement(postgresql.insert(participations).on_conflict_do_nothing())


class SQLParticipationStore:
    """`authn.logout.store.ParticipationStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take_part(self, participation: Participation) -> None:
        for statement, values in self.to_take_part(participation):
            self._database.send(statement, values)

    def to_take_part(self, participation: Participation) -> Statements:
        return [
            (_TAKE_PART, {name: getattr(participation, name) for name in Participation.__slots__})
        ]

    def list_of_session(self, sid: str) -> Sequence[Participation]:
        rows = participations
        with self._database.reading() as connection:
            found = connection.execute(
                select(rows).where(rows.c.sid == sid).order_by(rows.c.client_id, rows.c.ticket)
            ).all()
        return [_participation(row) for row in found]

    def close(self, sids: Sequence[str], now: datetime) -> int:
        rows = participations
        told = select(
            rows.c.sid,
            rows.c.client_id,
            rows.c.ticket,
            rows.c.channel,
            rows.c.subject,
            rows.c.backchannel_uri,
            literal(0),
            literal(now, deliveries.c.created_at.type),
            literal(now, deliveries.c.due_at.type),
        ).where(rows.c.sid.in_(sids), rows.c.backchannel_uri.is_not(None))
        columns = ["sid", "client_id", "ticket", "channel", "subject", "uri", "attempts"]
        columns += ["created_at", "due_at"]
        with self._database.transaction() as connection:
            connection.execute(insert(deliveries).from_select(columns, told))
            gone = connection.execute(
                delete(rows).where(rows.c.sid.in_(sids)).returning(rows.c.backchannel_uri)
            ).scalars()
            return sum(uri is not None for uri in gone)


class SQLDeliveryQueue:
    """`authn.logout.store.DeliveryQueue`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list_due(self, now: datetime, *, limit: int, busy: Collection[str]) -> Sequence[Delivery]:
        if self._database.run(_DUE, {"now": now}).first() is None:
            return ()  # as nearly always, twice a second
        # In the order of the index, so that a look costs what it returns and not the whole queue.
        rows = deliveries
        wanted = (
            select(rows)
            .where(rows.c.due_at <= now, rows.c.client_id.not_in(busy))
            .order_by(rows.c.due_at)
            .limit(limit)
        )
        with self._database.reading() as connection:
            found = connection.execute(wanted).all()
        return [_delivery(row) for row in found]

    def claim(self, ids: Collection[int], now: datetime, until: datetime) -> frozenset[int]:
        rows = deliveries
        with self._database.transaction() as connection:
            claimed = connection.execute(
                update(rows)
                .where(rows.c.id.in_(ids), rows.c.due_at <= now)
                .values(due_at=until)
                .returning(rows.c.id)
            ).scalars()
            return frozenset(claimed)

    def finish(self, ids: Collection[int]) -> None:
        with self._database.transaction() as connection:
            connection.execute(delete(deliveries).where(deliveries.c.id.in_(ids)))

    def postpone(self, delivery_id: int, until: datetime, *, fault: str) -> None:
        rows = deliveries
        with self._database.transaction() as connection:
            connection.execute(
                update(rows)
                .where(rows.c.id == delivery_id)
                .values(due_at=until, attempts=rows.c.attempts + 1, fault=fault)
            )

    def postpone_client(self, client_id: str, until: datetime) -> None:
        rows = deliveries
        with self._database.transaction() as connection:
            connection.execute(
                update(rows)
                .where(rows.c.client_id == client_id, rows.c.due_at < until)
                .values(due_at=until)
            )

    def list_backlogs(self) -> Sequence[Backlog]:
        rows = deliveries.c
        wanted = (
            select(
                rows.client_id,
                func.count().label("waiting"),
                func.count().filter(rows.attempts > 0).label("failed"),
                func.max(rows.attempts).label("attempts"),
                func.min(rows.created_at).label("oldest"),
                func.min(rows.due_at).label("next_at"),
                func.max(rows.fault).label("fault"),
            )
            .group_by(rows.client_id)
            .order_by(rows.client_id)
        )
        with self._database.reading() as connection:
            return [Backlog(**row._mapping) for row in connection.execute(wanted)]  # noqa: SLF001 - its public name

    def hurry(self, client_id: str, now: datetime) -> int:
        rows = deliveries
        with self._database.transaction() as connection:
            done = connection.execute(
                update(rows)
                .where(rows.c.client_id == client_id, rows.c.due_at > now)
                .values(due_at=now)
            )
        return done.rowcount

    def drop(self, client_id: str) -> int:
        with self._database.transaction() as connection:
            gone = connection.execute(delete(deliveries).where(deliveries.c.client_id == client_id))
        return gone.rowcount


def _participation(row: Any) -> Participation:
    fields = dict(row._mapping)  # noqa: SLF001 - its public name in SQLAlchemy
    return Participation(**fields | {"channel": Channel(fields["channel"])})


def _delivery(row: Any) -> Delivery:
    fields = dict(row._mapping)  # noqa: SLF001 - its public name in SQLAlchemy
    del fields["due_at"], fields["fault"]
    return Delivery(**fields | {"channel": Channel(fields["channel"])})
