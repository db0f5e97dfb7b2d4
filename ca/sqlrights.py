"""`ca.rights_store.RightStore` in SQL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Select, bindparam, delete, insert, or_, select

from ca.operations import Operation
from ca.rights_store import Grant, Held, Right, RightPage, Step
from ca.sqlorganisations import ROOT, SQLOrganisationStore, below, in_scope
from ca.tables_organisations import organisation_closure, organisations, rights
from core.db import Database
from core.remembered import Remembered
from core.sqllisting import Sorting, row_number
from core.statements import Statement

_R = rights.c
_A = organisation_closure.c
_ASKED = organisations.alias("asked")
_TOP = organisations.alias("top")


_SORTING = Sorting(_R.number, granted=_R.number, operator=_R.operator, granted_by=_R.granted_by)


def _held(named: Any) -> Select[Any]:
    """Select rights with the place where they begin, and the name of `named`."""
    columns = (_R.organisation_id, _R.profiles, _R.operations, _R.steps)
    begins = _TOP.c.parent.label("above")
    statement = select(*columns, begins, named.c.name, named.c.closed_at)
    return statement.select_from(rights).join(_TOP, _TOP.c.id == _R.organisation_id)


_BEARING: Final = (
    _held(_ASKED)
    .join(organisation_closure, _A.ancestor == _R.organisation_id)
    .join(_ASKED, _ASKED.c.id == _A.descendant)
    .where(_R.operator == bindparam("of"))
)
_HELD_AT: Final = Statement(_BEARING.where(_A.descendant == bindparam("organisation")))
_HELD_ON_ALL: Final = Statement(_BEARING.where(_A.descendant == ROOT))
_OF: Final = Statement(_held(_TOP).where(_R.operator == bindparam("of")))


class SQLRightStore:
    """Rights on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

        def version() -> object | None:
            return database.version(rights, organisations, organisation_closure)

        self._held = Remembered(self._read_held, version)
        self._of = Remembered(self._read_of, version)

    def lock_tree(self) -> None:
        SQLOrganisationStore(self._database).lock_tree()

    def add_right(self, right: Right) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                insert(rights).values(
                    id=right.id,
                    operator=right.operator,
                    organisation_id=right.organisation,
                    profiles=_stored(right.grant.profiles),
                    operations=_stored(right.grant.operations),
                    steps=_stored(right.grant.steps),
                    granted_by=right.granted_by,
                    granted_at=right.granted_at,
                )
            )

    def remove_right(self, right_id: str) -> None:
        with self._database.transaction() as connection:
            connection.execute(delete(rights).where(_R.id == right_id))

    def find_right(self, right_id: str) -> Right | None:
        with self._database.reading() as connection:
            row = connection.execute(select(rights).where(_R.id == right_id)).first()
        return None if row is None else _right(row)

    def list_held(self, operator: str, organisation: str | None) -> Sequence[Held]:
        return self._held.get((operator, organisation))

    def list_of(self, operator: str) -> Sequence[Held]:
        return self._of.get(operator)

    def _read_held(self, asked: tuple[str, str | None]) -> Sequence[Held]:
        operator, organisation = asked
        statement = _HELD_ON_ALL if organisation is None else _HELD_AT
        given = {"of": operator, "organisation": organisation}
        return _holdings(self._database.run(statement, given).rows)

    def _read_of(self, operator: str) -> Sequence[Held]:
        return _holdings(self._database.run(_OF, {"of": operator}).rows)

    def list_related(self, operator: str, organisation: str) -> Sequence[Held]:
        above = select(_A.ancestor).where(_A.descendant == organisation)
        related = or_(_R.organisation_id.in_(above), _R.organisation_id.in_(below([organisation])))
        statement = _held(_TOP).where(_R.operator == operator, related)
        with self._database.reading() as connection:
            return _holdings(connection.execute(statement))

    def list_rights(
        self,
        *,
        operator: str | None,
        scope: frozenset[str] | None,
        cursor: str | None,
        limit: int,
        sort: str | None = None,
    ) -> RightPage:
        statement = select(rights).where(in_scope(_R.organisation_id, scope))
        if operator is not None:
            statement = statement.where(_R.operator == operator)
        statement = _SORTING.page(statement, sort or "granted", row_number(cursor))
        with self._database.reading() as connection:
            rows = connection.execute(statement.limit(limit + 1)).all()
        more = str(rows[limit - 1].number) if len(rows) > limit else None
        return RightPage(tuple(_right(row) for row in rows[:limit]), more)

    def has_root_manager(self) -> bool:
        statement = select(_R.id).where(
            _R.organisation_id == ROOT, _R.operations.is_(None), _R.profiles.is_(None)
        )
        with self._database.reading() as connection:
            return connection.execute(statement.limit(1)).first() is not None


def _holdings(rows: Iterable[Any]) -> Sequence[Held]:
    return [
        Held(
            organisation=row.organisation_id,
            grant=_grant(row),
            is_root=row.above is None,
            organisation_name=row.name,
            closed_at=row.closed_at,
        )
        for row in rows
    ]


def _stored(words: frozenset[Any] | None) -> str | None:
    return None if words is None else " ".join(sorted(words))


def _words(stored: str | None) -> frozenset[str] | None:
    return None if stored is None else frozenset(stored.split())


def _grant(row: Any) -> Grant:
    operations = _words(row.operations)
    return Grant(
        profiles=_words(row.profiles),
        operations=None if operations is None else frozenset(map(Operation, operations)),
        steps=frozenset(map(Step, row.steps.split())),
    )


def _right(row: Any) -> Right:
    return Right(
        id=row.id,
        operator=row.operator,
        organisation=row.organisation_id,
        grant=_grant(row),
        granted_by=row.granted_by,
        granted_at=row.granted_at,
    )
