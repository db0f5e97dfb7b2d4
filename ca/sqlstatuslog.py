"""`ca.store.StatusLog` in SQL. The triggers of `ca.tables_status` write what is read here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from threading import Event
from typing import Any, Final

from sqlalchemy import BigInteger, bindparam, cast, extract, select, text

from ca.packedstatus import REASON_CODE, STATE_CODE
from ca.store import StatusEntry
from ca.tables_status import CHANNEL, status_log
from core.db import Database
from core.db_watch import DatabaseWatch
from core.statements import Statement

_C = status_log.c


def _seconds(column: Any) -> Any:
    return cast(extract("epoch", column), BigInteger).label(f"{column.key}_seconds")


_ENTRIES = select(
    _C.position,
    _C.mark,
    _C.issuer,
    _C.serial,
    _C.state,
    _C.reason,
    _seconds(_C.revoked_at),
    _seconds(_C.not_after),
    _seconds(_C.changed_at),
)
_SINCE = Statement(
    _ENTRIES.where(_C.position >= bindparam("since")).order_by(_C.position).limit(bindparam("most"))
)
_LAST = _ENTRIES.order_by(_C.position.desc()).limit(1)


class SQLStatusLog:
    """The status log of one database, which may be a replica with a role that only reads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._watch = DatabaseWatch(database, CHANNEL)

    def version(self) -> int | None:
        return self._watch.version()

    def wait(self, seconds: float, stop: Event) -> None:
        self._watch.wait(seconds, stop)

    def read_log(self, *, since: int, limit: int) -> Sequence[StatusEntry]:
        rows = self._database.run(_SINCE, {"since": since, "most": limit}).rows
        return [StatusEntry._make(row) for row in rows]

    def find_last(self) -> StatusEntry | None:
        with self._database.reading() as connection:
            row = connection.execute(_LAST).first()
            return None if row is None else StatusEntry._make(row)

    def list_issuers(self) -> Sequence[str]:
        with self._database.reading() as connection:
            return list(connection.execute(select(_C.issuer).distinct()).scalars())

    def pack(self, after: int, through: int, numbers: Mapping[str, int]) -> bytes:
        with self._database.reading() as connection:
            postgresql = connection.dialect.name == "postgresql"
            names = {f"i{at}": name for at, name in enumerate(numbers)}
            issuers = [(f":i{at}", number) for at, number in enumerate(numbers.values())]
            statement = (_PACKED_POSTGRESQL if postgresql else _PACKED_SQLITE).format(
                issuer=_case("issuer", issuers),
                state=_case("state", _quoted(STATE_CODE)),
                reason=_case("coalesce(reason, '')", [("''", 0), *_quoted(REASON_CODE)]),
            )
            parameters = {"after": after, "through": through, **names}
            packed = connection.execute(text(statement), parameters).scalar()
        return bytes(packed or b"") if postgresql else bytes.fromhex(packed or "")


def _case(column: str, pairs: Iterable[tuple[str, int]]) -> str:
    return f"CASE {column} " + " ".join(f"WHEN {one} THEN {code}" for one, code in pairs) + " END"


def _quoted(codes: Mapping[str, int]) -> list[tuple[str, int]]:
    """Words of ours, none of which has a quote in it."""
    return [(f"'{word}'", code) for word, code in codes.items()]


# `ca.packedstatus` in SQL: one value for a range, because a row each costs more than all the rest.
_PACKED_SQLITE: Final = """SELECT group_concat(printf('%04x%s%02x%02x%016x%016x%016x%016x',
    {issuer}, serial, {state}, {reason},
    CASE WHEN revoked_at IS NULL THEN 0 ELSE strftime('%s', revoked_at) END,
    strftime('%s', not_after),
    CASE WHEN changed_at IS NULL THEN 0 ELSE strftime('%s', changed_at) END,
    position), '')
    FROM status_log WHERE position > :after AND position <= :through"""
_PACKED_POSTGRESQL: Final = """SELECT string_agg(int2send(({issuer})::int2)
    || decode(serial, 'hex') || int2send((256 * {state} + {reason})::int2)
    || int8send(coalesce(extract(epoch FROM revoked_at), 0)::int8)
    || int8send(extract(epoch FROM not_after)::int8)
    || int8send(coalesce(extract(epoch FROM changed_at), 0)::int8)
    || int8send(position), ''::bytea)
    FROM status_log WHERE position > :after AND position <= :through"""
