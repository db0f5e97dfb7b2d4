"""`ca.reviews_store.ReviewRuleStore` in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Select, bindparam, case, delete, insert, literal_column, or_, select

from ca.operations import Operation, Review
from ca.organisations_store import Level
from ca.reviews_store import ReviewRule
from ca.sqlorganisations import ROOT, SQLOrganisationStore, in_scope
from ca.tables_organisations import organisation_closure, organisations, review_rules
from core.db import Database
from core.remembered import Remembered
from core.statements import Statement

_R = review_rules.c
_A = organisation_closure.c
_O = organisations.c
_EVERY: Final = "*"
# Levels descend strictly, so that the lowest is the nearest.
_DEPTH: Final = case(
    {level: literal_column(str(depth)) for depth, level in enumerate(Level)}, value=_O.level
)
_FOR_ALL_LAST: Final = case((_R.profile == _EVERY, literal_column("1")), else_=literal_column("0"))


def _bearing(organisation: Any) -> Select[Any]:
    return (
        select(review_rules)
        .join(organisation_closure, _A.ancestor == _R.organisation_id)
        .join(organisations, _O.id == _R.organisation_id)
        .where(
            _A.descendant == organisation,
            _R.operation == bindparam("operation"),
            or_(_R.profile == bindparam("profile"), _R.profile == _EVERY),
        )
        .order_by(_DEPTH.desc(), _FOR_ALL_LAST)
        .limit(1)
    )


_BEARING: Final = Statement(_bearing(bindparam("organisation")))
_BEARING_ON_ALL: Final = Statement(_bearing(ROOT))


class SQLReviewRuleStore:
    """Review rules on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._bearing = Remembered(
            self._read_bearing,
            lambda: database.version(review_rules, organisations, organisation_closure),
        )

    def lock_tree(self) -> None:
        SQLOrganisationStore(self._database).lock_tree()

    def put_rule(self, rule: ReviewRule) -> None:
        profile = rule.profile or _EVERY
        with self._database.transaction() as connection:
            connection.execute(
                delete(review_rules).where(
                    _R.operation == rule.operation,
                    _R.profile == profile,
                    _R.organisation_id == rule.organisation,
                )
            )
            connection.execute(
                insert(review_rules).values(
                    id=rule.id,
                    operation=rule.operation,
                    profile=profile,
                    organisation_id=rule.organisation,
                    review=rule.review.review,
                    make=rule.review.make,
                    set_by=rule.set_by,
                    set_at=rule.set_at,
                )
            )

    def remove_rule(self, rule_id: str) -> None:
        with self._database.transaction() as connection:
            connection.execute(delete(review_rules).where(_R.id == rule_id))

    def find_rule(self, rule_id: str) -> ReviewRule | None:
        with self._database.reading() as connection:
            row = connection.execute(select(review_rules).where(_R.id == rule_id)).first()
        return None if row is None else _rule(row)

    def find_bearing(
        self, operation: Operation, profile: str, organisation: str | None
    ) -> ReviewRule | None:
        return self._bearing.get((operation, profile, organisation))

    def _read_bearing(self, asked: tuple[Operation, str, str | None]) -> ReviewRule | None:
        operation, profile, organisation = asked
        statement = _BEARING_ON_ALL if organisation is None else _BEARING
        given = {"operation": operation, "profile": profile, "organisation": organisation}
        row = self._database.run(statement, given).first()
        return None if row is None else _rule(row)

    def list_rules(self, *, scope: frozenset[str] | None, limit: int) -> Sequence[ReviewRule]:
        statement = (
            select(review_rules)
            .where(in_scope(_R.organisation_id, scope))
            .order_by(_R.number)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [_rule(row) for row in connection.execute(statement)]


def _rule(row: Any) -> ReviewRule:
    return ReviewRule(
        id=row.id,
        operation=Operation(row.operation),
        profile=None if row.profile == _EVERY else row.profile,
        organisation=row.organisation_id,
        review=Review(row.review, row.make),
        set_by=row.set_by,
        set_at=row.set_at,
    )
