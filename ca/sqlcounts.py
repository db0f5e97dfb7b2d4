"""Counting certificates in SQL: what is kept, and what has changed since (docs/decisions/0234)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    Subquery,
    and_,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    union_all,
)

from ca.sqlkeptcounts import ALIVE, Counted, measures, month_of
from ca.statistics import Measure
from ca.store import CertificateState
from ca.tables import certificates
from ca.tables_counts import certificate_count_changes, certificate_counts
from ca.tables_organisations import organisation_closure

_C = certificates.c
_D = certificate_count_changes.c
_K = certificate_counts.c
_A = organisation_closure.c
EXPIRED: Final = "expired"
_UNCOUNTED: Final = (CertificateState.RESERVED, CertificateState.FAILED)


def read_counts(
    connection: Connection,
    *,
    whole: Collection[str],
    alone: Collection[str],
    months: tuple[str, str],
    now: datetime,
    profile: str | None = None,
) -> Counter[Counted]:
    """Count certificates of branches (`whole`, none within another) and of organisations `alone`.

    The empty text in `alone` is what belongs to no organisation. `months` are the first and the
    last that are wanted, like ``2026-11``; states do not know months, and one of them is
    `EXPIRED`. In one statement, so that all is of one moment.
    """
    begin = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = (begin + timedelta(days=32)).replace(day=1)
    # Of this month, the shorter part is counted: what ended, or what is still to end.
    late = following - now < now - begin
    running = month_of(following if late else begin)
    part = (-func.count(), now, following) if late else (func.count(), begin, now)
    statement = union_all(
        _kept(whole, alone, months, running),
        *(_placed(one, whole, alone) for one in _live(connection, part)),
    ).subquery()
    wanted = select(statement)
    if profile is not None:
        wanted = wanted.where(statement.c.profile == profile)
    found: Counter[Counted] = Counter()
    ended: Counter[tuple[str, str, str]] = Counter()
    for row in connection.execute(wanted):
        if row.kind == "ended":
            ended[row.place, row.profile, row.state] += row.number
            continue
        measured: Any = [(row.one, row.state, row.two)]
        if row.kind == "changed":
            measured = measures(row.state, row.one, row.two, row.three)
        for measure, state, month in measured:
            if measure == Measure.EXPIRING and month < running:
                ended[row.place, row.profile, state] += row.number
            if measure == Measure.STATE or months[0] <= month <= months[1]:
                one = Counted(row.place, row.profile, Measure(measure), state, month)
                found[one] += row.number
    for (place, name, state), number in ended.items():
        found[Counted(place, name, Measure.STATE, state, "")] -= number
        found[Counted(place, name, Measure.STATE, EXPIRED, "")] += number
    return +found


def _kept(
    whole: Collection[str], alone: Collection[str], months: tuple[str, str], running: str
) -> Select[Any]:
    ended = (_K.measure == Measure.EXPIRING) & (_K.month < running)
    columns = (
        literal("kept").label("kind"),
        _K.organisation_id.label("place"),
        *(_K.profile, _K.state, _K.measure.label("one"), _K.month.label("two")),
        literal("").label("three"),
        _K.number,
    )
    return select(*columns).where(
        or_(
            and_(_K.whole.is_(True), _K.organisation_id.in_(whole)),
            and_(_K.whole.is_(False), _K.organisation_id.in_(alone)),
        ),
        or_(_K.measure == Measure.STATE, _K.month.between(*months), ended),
        _K.number != 0,
    )


def _live(
    connection: Connection, part: tuple[ColumnElement[Any], datetime, datetime]
) -> Iterator[Subquery]:
    """Count what is not kept: what changed since, a `part` of this month, what is not issued."""
    months = [
        month_in(connection, column).label(name)
        for name, column in (("one", _D.issued_at), ("two", _D.revoked_at), ("three", _D.not_after))
    ]
    entry = (_D.organisation_id, _D.profile, _D.state)
    yield (
        select(literal("changed").label("kind"), *entry, *months, _number(func.sum(_D.weight)))
        .group_by(*entry, *months)
        .subquery()
    )
    number, begin, end = part
    ended = (_C.state.in_(ALIVE), _C.not_after >= begin, _C.not_after < end)
    yield _of_certificates("ended", number, *ended)
    yield _of_certificates("kept", func.count(), _C.state.in_(_UNCOUNTED))


def _of_certificates(
    kind: str, number: ColumnElement[Any], *conditions: ColumnElement[bool]
) -> Subquery:
    """Count what is read from an index alone."""
    entry = (_C.organisation_id, _C.profile, _C.state)
    plain = (
        literal(Measure.STATE.value).label("one"),
        literal("").label("two"),
        literal("").label("three"),
    )
    return (
        select(literal(kind).label("kind"), *entry, *plain, _number(number))
        .where(*conditions)
        .group_by(*entry)
        .subquery()
    )


def _number(counted: ColumnElement[Any]) -> Any:
    return cast(counted, BigInteger).label("number")


def _placed(counted: Subquery, whole: Collection[str], alone: Collection[str]) -> Select[Any]:
    """Put what was counted by organisation where it was asked for, and drop the rest."""
    c = counted.c
    branches = select(_A.descendant, _A.ancestor).where(_A.ancestor.in_(whole)).subquery()
    own = func.coalesce(c.organisation_id, "")
    place = func.coalesce(branches.c.ancestor, case((own.in_(alone), own)))
    return (
        select(c.kind, place, c.profile, c.state, c.one, c.two, c.three, c.number)
        .join_from(counted, branches, branches.c.descendant == c.organisation_id, isouter=True)
        .where(place.is_not(None))
    )


def month_in(connection: Connection, column: ColumnElement[Any]) -> ColumnElement[str]:
    """Return the month in UTC of a moment, as `month_of` writes it."""
    if connection.dialect.name == "postgresql":
        return func.to_char(func.timezone("UTC", column), "YYYY-MM")
    return func.strftime("%Y-%m", column)
