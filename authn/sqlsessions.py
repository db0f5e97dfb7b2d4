"""Browser sessions in the database."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Connection, Select, bindparam, delete, insert, or_, select, update

from authn.levels import SessionCertificate
from authn.sqlentered import applications_of, entered
from authn.sqlstore import split_owner, with_owner
from authn.store import EndedSession, Session, User
from authn.tables import sessions, users
from authn.tables_sessions import session_certificates
from core.db import Database
from core.sqllisting import Sorting
from core.statements import Ran, Statement
from core.steps import Steps, asked

_FIND = Statement(select(sessions).where(sessions.c.digest == bindparam("of")))
_WITH_OWNER = with_owner(sessions)
_ADD = Statement(insert(sessions))
_TOUCH = Statement(
    update(sessions).where(sessions.c.digest == bindparam("of")).values(seen_at=bindparam("now"))
)
_HOLD = Statement(
    select(sessions.c.sid)
    .where(sessions.c.sid == bindparam("of"))
    .with_for_update(read=True, key_share=True)
)
_CHUNK = 500
"""Values in one statement, below the limit of either database."""


_SORTING = Sorting(
    sessions.c.sid,
    expires=sessions.c.expires_at,
    auth_time=sessions.c.auth_time,
    seen=sessions.c.seen_at,
)


class SQLSessionStore:
    """`authn.store.SessionStore` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, session: Session) -> None:
        self._database.send(_ADD, asdict(session))

    def find(self, digest: bytes) -> Session | None:
        row = self._database.run(_FIND, {"of": digest}).first()
        return None if row is None else Session(**row._asdict())

    def find_with_owner(self, digest: bytes) -> tuple[Session, User | None] | None:
        return _with_owner(self._database.run(_WITH_OWNER, {"of": digest}))

    def finding_with_owner(self, digest: bytes) -> Steps[tuple[Session, User | None] | None]:
        (found,) = yield from asked([(_WITH_OWNER, {"of": digest})])
        return _with_owner(found)

    def touch(self, digest: bytes, now: datetime) -> None:
        self._database.run(_TOUCH, {"of": digest, "now": now})

    def touching(self, digest: bytes, now: datetime) -> Steps[None]:
        yield from asked([(_TOUCH, {"of": digest, "now": now})])

    def replace(self, digest: bytes, session: Session) -> bool:
        with self._database.transaction() as connection:
            changed = connection.execute(
                update(sessions).where(sessions.c.digest == digest).values(**asdict(session))
            )
        return changed.rowcount == 1

    def add_certificate(self, sid: str, certificate: SessionCertificate) -> None:
        rows, values = session_certificates, {"sid": sid, **asdict(certificate)}
        known = select(rows.c.sid).where(*(rows.c[name] == value for name, value in values.items()))
        with self._database.transaction() as connection:
            if connection.execute(known).first() is None:
                connection.execute(insert(rows).values(**values))

    def move_certificates(self, sid: str, to: str) -> None:
        rows = session_certificates
        with self._database.transaction() as connection:
            connection.execute(update(rows).where(rows.c.sid == sid).values(sid=to))

    def list_of_account(self, account: str) -> Sequence[str]:
        return self._sids(select(sessions.c.sid).where(sessions.c.account == account))

    def list_sessions(self, user_id: str) -> Sequence[Session]:
        statement = (
            select(sessions)
            .where(sessions.c.user_id == user_id)
            .order_by(sessions.c.auth_time.desc(), sessions.c.sid)
        )
        with self._database.reading() as connection:
            return [Session(**row._asdict()) for row in connection.execute(statement)]

    def list_live(
        self,
        now: datetime,
        idle_since: datetime,
        *,
        user_id: str | None,
        client_id: str | None = None,
        after: str | None,
        limit: int,
        sort: str | None = None,
    ) -> Sequence[Session]:
        row = sessions.c
        alive = select(sessions).where(row.expires_at > now, row.seen_at > idle_since)
        statement = _SORTING.page(alive, sort, after).limit(limit)
        if user_id is not None:
            statement = statement.where(row.user_id == user_id)
        if client_id is not None:
            statement = statement.where(entered(client_id))
        with self._database.reading() as connection:
            return [Session(**one._asdict()) for one in connection.execute(statement)]

    def list_of_application(self, client_id: str, *, limit: int) -> Sequence[str]:
        return self._sids(select(sessions.c.sid).where(entered(client_id)).limit(limit))

    def applications_of(self, sids: Sequence[str]) -> Mapping[str, Sequence[str]]:
        return applications_of(self._database, sids)

    def list_of_user(self, user_id: str) -> Sequence[str]:
        return self._sids(select(sessions.c.sid).where(sessions.c.user_id == user_id))

    def list_timed_out(self, now: datetime, idle_since: datetime, *, limit: int) -> Sequence[str]:
        over = or_(sessions.c.expires_at <= now, sessions.c.seen_at <= idle_since)
        return self._sids(select(sessions.c.sid).where(over).limit(limit))

    def list_by_certificates(
        self, issuer: str, serials: Collection[str] | None, *, limit: int
    ) -> Sequence[str]:
        rows = session_certificates
        wanted = select(rows.c.sid).where(rows.c.issuer == issuer).distinct()
        if serials is None:
            return self._sids(wanted.limit(limit))
        found: dict[str, None] = {}
        ordered = sorted(serials)
        for start in range(0, len(ordered), _CHUNK):
            some = wanted.where(rows.c.serial.in_(ordered[start : start + _CHUNK]))
            found |= dict.fromkeys(self._sids(some.limit(limit - len(found))))
            if len(found) >= limit:
                break
        return list(found)

    def list_certificates(self) -> Sequence[SessionCertificate]:
        rows = session_certificates
        with self._database.reading() as connection:
            found = connection.execute(select(rows.c.issuer, rows.c.serial).distinct()).all()
        return [SessionCertificate(row.issuer, row.serial) for row in found]

    def used_certificates(self, issuer: str, serials: Collection[str]) -> Sequence[str]:
        rows, ordered, found = session_certificates, sorted(serials), list[str]()
        wanted = select(rows.c.serial).where(rows.c.issuer == issuer).distinct()
        with self._database.reading() as connection:
            for start in range(0, len(ordered), _CHUNK):
                some = wanted.where(rows.c.serial.in_(ordered[start : start + _CHUNK]))
                found += connection.execute(some).scalars()
        return found

    def remove(self, sids: Sequence[str]) -> Sequence[EndedSession]:
        with self._database.transaction() as connection:
            gone = connection.execute(
                delete(sessions)
                .where(sessions.c.sid.in_(sids))
                .returning(sessions.c.sid, sessions.c.user_id)
            ).all()
            connection.execute(
                delete(session_certificates).where(session_certificates.c.sid.in_(sids))
            )
            named = connection.execute(
                select(users.c.id, users.c.name).where(
                    users.c.id.in_({row.user_id for row in gone})
                )
            ).all()
        names = {row.id: row.name for row in named}
        return [EndedSession(row.sid, names.get(row.user_id, row.user_id)) for row in gone]

    def _sids(self, query: Select[tuple[str]]) -> Sequence[str]:
        with self._database.reading() as connection:
            return [str(row[0]) for row in connection.execute(query)]


def hold_session(connection: Connection, sid: str) -> bool:
    """Whether a session is open; it does not end before the transaction does."""
    return _HOLD.run(connection, {"of": sid}).first() is not None


def _with_owner(found: Ran) -> tuple[Session, User | None] | None:
    row = found.first()
    if row is None:
        return None
    fields, owner = split_owner(row)
    return Session(**fields), owner
