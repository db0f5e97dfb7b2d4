"""`crl.store.SegmentStore` and `crl.store.PartitioningStore` in SQL."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from ca.distribution import Scope
from core.db import Database
from core.errors import Conflict
from crl.entries import Segment
from crl.tables import crl_coverage, crl_partitionings, crl_segments

_P = crl_partitionings.c
_C = crl_coverage.c
_S = crl_segments.c
_AT_ONCE = 500
_CHANGE = (
    update(crl_segments)
    .where(_S.issuer == bindparam("of_issuer"), _S.number == bindparam("of_number"))
    .values({name: bindparam(name) for name in _S.keys() if name not in {"issuer", "number"}})  # noqa: SIM118
)


class SQLSegmentStore:
    """Lines and partitionings on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # ---- partitionings --------------------------------------------------------------------------

    def add_partitioning(self, issuer: str, partitions: int, revocation_url: str) -> None:
        if revocation_url in self.list_partitionings(issuer).get(partitions, ()):
            return
        values = {"issuer": issuer, "partitions": partitions, "revocation_url": revocation_url}
        with (
            self._database.transaction() as connection,
            suppress(IntegrityError),  # another node was faster
            connection.begin_nested(),
        ):
            connection.execute(insert(crl_partitionings).values(values))

    def list_partitionings(self, issuer: str) -> Mapping[int, Sequence[str]]:
        statement = (
            select(_P.partitions, _P.revocation_url)
            .where(_P.issuer == issuer)
            .order_by(_P.partitions, _P.revocation_url)
        )
        found: defaultdict[int, list[str]] = defaultdict(list)
        with self._database.reading() as connection:
            for row in connection.execute(statement):
                found[row.partitions].append(row.revocation_url)
        return found

    # ---- lines ----------------------------------------------------------------------------------

    def covered(self, issuer: str) -> int:
        with self._database.reading() as connection:
            found = connection.execute(select(_C.position).where(_C.issuer == issuer)).scalar()
        return int(found or 0)

    def cover(self, issuer: str, position: int, *, before: int) -> None:
        moved = update(crl_coverage).where(_C.issuer == issuer, _C.position == before)
        with self._database.transaction() as connection:
            if connection.execute(moved.values(position=position)).rowcount == 1:
                return
            try:
                with connection.begin_nested():
                    values = {"issuer": issuer, "position": position}
                    connection.execute(insert(crl_coverage).values(values))
            except IntegrityError as error:
                raise Conflict(f"the lines of {issuer} were changed at the same moment") from error

    def find_segments(self, issuer: str, numbers: Collection[int]) -> Mapping[int, Segment]:
        found: dict[int, Segment] = {}
        wanted = sorted(numbers)
        for start in range(0, len(wanted), _AT_ONCE):
            some = wanted[start : start + _AT_ONCE]
            found |= {one.number: one for one in self._segments(issuer, _S.number.in_(some))}
        return found

    def find_ended(self, issuer: str, before: int) -> Sequence[Segment]:
        return self._segments(issuer, _S.first_end < before)

    def put_segments(self, issuer: str, segments: Sequence[Segment]) -> None:
        with self._database.transaction() as connection:
            there = set(connection.execute(select(_S.number).where(_S.issuer == issuer)).scalars())
            rows = [_row(issuer, one) for one in segments]
            new = [row for row in rows if row["number"] not in there]
            if new:
                connection.execute(insert(crl_segments), new)
            changed = [
                {"of_issuer": issuer, "of_number": row["number"]} | row
                for row in rows
                if row["number"] in there
            ]
            if changed:
                connection.execute(_CHANGE, changed)

    def last_changes(self, issuer: str, *, after: int) -> Mapping[int, int]:
        statement = select(_S.number, _S.position).where(_S.issuer == issuer, _S.position > after)
        with self._database.reading() as connection:
            return {row.number: int(row.position) for row in connection.execute(statement)}

    def count_lines(self, issuer: str) -> int:
        statement = select(func.sum(_S.entries)).where(_S.issuer == issuer)
        with self._database.reading() as connection:
            return int(connection.execute(statement).scalar() or 0)

    def join_lines(self, scope: Scope) -> tuple[int, bytes]:
        statement = (
            select(_S.entries, _S.lines)
            .where(_S.issuer == scope.issuer, _S.number % scope.partitions == scope.partition)
            .order_by(_S.number)
        )
        with self._database.reading() as connection:
            rows = connection.execute(statement).all()
        return sum(row.entries for row in rows), b"".join(row.lines for row in rows)

    def _segments(self, issuer: str, condition: Any) -> list[Segment]:
        statement = select(crl_segments).where(_S.issuer == issuer, condition)
        with self._database.reading() as connection:
            return [
                Segment(row.number, int(row.position), bytes(row.lines), bytes(row.ends))
                for row in connection.execute(statement)
            ]


def _row(issuer: str, segment: Segment) -> dict[str, Any]:
    return {
        "issuer": issuer,
        "number": segment.number,
        "position": segment.position,
        "entries": segment.count,
        "first_end": segment.first_end,
        "lines": segment.lines,
        "ends": segment.ends,
    }
