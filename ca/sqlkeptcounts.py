"""Keeping the counts of certificates, in SQL (docs/decisions/0234).

Triggers note each change as a row (`ca.tables_counts`). Here they are added up, and taken away in
the same transaction: so each counts once, whoever is killed when.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, delete, select, text

from ca.statistics import Measure
from ca.store import CertificateState
from ca.tables_counts import certificate_count_changes
from ca.tables_organisations import organisation_closure
from core.db import Database

_D = certificate_count_changes.c
_A = organisation_closure.c
ALIVE: Final = (CertificateState.ISSUED, CertificateState.HELD)
_TOGETHER: Final = 20_000
"""Changes that are added up in one transaction."""
_ADDED: Final = (
    "ON CONFLICT (organisation_id, whole, measure, profile, state, month) "
    "DO UPDATE SET number = certificate_counts.number + excluded.number"
)
_COLUMNS: Final = "organisation_id, whole, measure, profile, state, month, number"
_ADD: Final = text(
    f"INSERT INTO certificate_counts ({_COLUMNS}) "  # noqa: S608 - our own words
    f"VALUES (:{_COLUMNS.replace(', ', ', :')}) {_ADDED}"
)
_MOVE: Final = text(
    f"INSERT INTO certificate_counts ({_COLUMNS}) "  # noqa: S608 - our own words
    "SELECT a.ancestor, k.whole, k.measure, k.profile, k.state, k.month, :sign * k.number "
    "FROM certificate_counts AS k "
    "JOIN organisation_closure AS a ON a.descendant = k.organisation_id "
    f"WHERE k.organisation_id = :moved AND k.whole AND a.ancestor <> :moved {_ADDED}"
)


class Counted(NamedTuple):
    """What is counted: the empty text where something does not matter."""

    organisation: str
    profile: str
    measure: Measure
    state: str
    month: str


class SQLCounts:
    """Keeps the counts of one database."""

    def __init__(self, database: Database, lock_tree: Callable[[], None]) -> None:
        """`lock_tree` holds the tree still for the transaction: the sums follow its branches."""
        self._database = database
        self._lock_tree = lock_tree

    def keep(self) -> None:
        """Add up all changes there are, some at a time."""
        while self._add_up() == _TOGETHER:
            pass

    def _add_up(self) -> int:
        some = select(_D.number).order_by(_D.number).limit(_TOGETHER)
        with self._database.reading() as connection:
            if connection.execute(some.limit(1)).first() is None:
                return 0
        with self._database.transaction() as connection:
            self._lock_tree()
            taken = connection.execute(
                delete(certificate_count_changes)
                .where(_D.number.in_(some))
                .returning(*certificate_count_changes.c)
            ).all()
            alone = _summed(taken)
            branches = above(connection, {one.organisation for one in alone})
            sums: Counter[tuple[bool, Counted]] = Counter()
            for one, number in alone.items():
                sums[False, one] += number
                for ancestor in branches.get(one.organisation, ()):
                    sums[True, one._replace(organisation=ancestor)] += number
            if rows := [_row(whole, one, number) for (whole, one), number in sums.items()]:
                connection.execute(_ADD, rows)
        return len(taken)


def move_counts(connection: Connection, organisation: str, *, sign: int) -> None:
    """Add the branch of an organisation to all that is above it, or take it away (-1)."""
    connection.execute(_MOVE, {"moved": organisation, "sign": sign})


def measures(
    state: str, issued: str | None, revoked: str | None, ending: str
) -> Iterator[tuple[Measure, str, str]]:
    """Return for what one certificate counts: measure, state and month."""
    yield Measure.STATE, state, ""
    if issued:
        yield Measure.ISSUED, "", issued
    if state == CertificateState.REVOKED and revoked:
        yield Measure.REVOKED, "", revoked
    if state in ALIVE:
        yield Measure.EXPIRING, state, ending


def month_of(moment: datetime | None) -> str:
    """Return its month in UTC, like ``2026-11``; the empty text for none."""
    return "" if moment is None else f"{moment:%Y-%m}"


def _summed(changes: Iterable[Any]) -> Counter[Counted]:
    alone: Counter[Counted] = Counter()
    for row in changes:
        months = (month_of(row.issued_at), month_of(row.revoked_at), month_of(row.not_after))
        for measure, state, month in measures(row.state, *months):
            place = row.organisation_id or ""
            alone[Counted(place, row.profile, measure, state, month)] += row.weight
    return alone


def above(connection: Connection, places: Collection[str]) -> Mapping[str, list[str]]:
    """Return what each organisation is in: itself, and all that is above it."""
    found: dict[str, list[str]] = {}
    pairs = select(_A.descendant, _A.ancestor).where(_A.descendant.in_(places))
    for row in connection.execute(pairs):
        found.setdefault(row.descendant, []).append(row.ancestor)
    return found


def _row(whole: bool, one: Counted, number: int) -> dict[str, Any]:
    return {
        "organisation_id": one.organisation,
        "whole": whole,
        "measure": one.measure.value,
        "profile": one.profile,
        "state": one.state,
        "month": one.month,
        "number": number,
    }
