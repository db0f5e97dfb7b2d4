"""`ca.organisations_store.OrganisationStore` in SQL, and the conditions of a subtree."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, insert, literal, or_, select
from sqlalchemy import update as sql_update
from sqlalchemy.exc import IntegrityError

from ca.organisations_store import (
    ChangeKind,
    Level,
    Organisation,
    OrganisationChange,
    OrganisationPage,
    OrganisationQuery,
)
from ca.sqlkeptcounts import move_counts
from ca.tables_organisations import organisation_changes, organisation_closure, organisations
from core.db import Database
from core.errors import Conflict
from core.sqllisting import Sorting, row_number

_O = organisations.c
_A = organisation_closure.c
_H = organisation_changes.c

ROOT = select(_O.id).where(_O.parent.is_(None)).scalar_subquery()


def below(tops: Collection[str]) -> Any:
    """Return the ids of everything in the subtrees of `tops`, as a subquery."""
    return select(_A.descendant).where(_A.ancestor.in_(tops))


def in_scope(column: ColumnElement[Any], scope: Collection[str] | None) -> ColumnElement[bool]:
    """Return whether an organisation's column lies in the scope of `ca.rights.Rights.scope`.

    None is everything, NULL included: what belongs to no organisation belongs to the root, and
    is seen only by whom the root's subtree is open to.
    """
    return literal(value=True) if scope is None else column.in_(below(scope))


_SORTING = Sorting(_O.number, created=_O.number, name=_O.name, level=_O.level)


class SQLOrganisationStore:
    """The tree on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def lock_tree(self) -> None:
        # SQLite's writers queue already; on PostgreSQL the root's row is the lock.
        with self._database.transaction() as connection:
            connection.execute(select(_O.id).where(_O.parent.is_(None)).with_for_update())

    def add_organisation(self, organisation: Organisation) -> None:
        row = {
            "id": organisation.id,
            "parent": organisation.parent,
            "level": organisation.level,
            "name": organisation.name,
            "code": organisation.code,
            "created_at": organisation.created_at,
        }
        try:
            with self._database.transaction() as connection, connection.begin_nested():
                connection.execute(insert(organisations).values(row))
                connection.execute(
                    insert(organisation_closure).values(
                        ancestor=organisation.id, descendant=organisation.id
                    )
                )
                if organisation.parent is not None:
                    self._hang(connection, organisation.id, organisation.parent)
        except IntegrityError as error:
            raise Conflict("another organisation has this code, or is the root already") from error

    def update_organisation(self, organisation: Organisation) -> None:
        with self._database.transaction() as connection:
            old = connection.execute(
                select(_O.parent).where(_O.id == organisation.id)
            ).scalar_one_or_none()
            connection.execute(
                sql_update(organisations)
                .where(_O.id == organisation.id)
                .values(
                    parent=organisation.parent,
                    name=organisation.name,
                    closed_at=organisation.closed_at,
                )
            )
            if organisation.parent is not None and organisation.parent != old:
                inside = below([organisation.id])
                move_counts(connection, organisation.id, sign=-1)
                connection.execute(
                    delete(organisation_closure).where(
                        _A.descendant.in_(inside), _A.ancestor.not_in(inside)
                    )
                )
                self._hang(connection, organisation.id, organisation.parent)
                move_counts(connection, organisation.id, sign=1)

    def _hang(self, connection: Any, organisation_id: str, parent: str) -> None:
        """Put what is above `parent` above everything in the subtree."""
        upper = organisation_closure.alias("upper")
        lower = organisation_closure.alias("lower")
        every = and_(upper.c.descendant == parent, lower.c.ancestor == organisation_id)
        pairs = select(upper.c.ancestor, lower.c.descendant).select_from(upper.join(lower, every))
        connection.execute(
            insert(organisation_closure).from_select(["ancestor", "descendant"], pairs)
        )

    def find_organisation(self, organisation_id: str) -> Organisation | None:
        return self._find(_O.id == organisation_id)

    def find_root(self) -> Organisation | None:
        return self._find(_O.parent.is_(None))

    def list_organisations(
        self,
        query: OrganisationQuery,
        *,
        cursor: str | None = None,
        limit: int = 100,
        sort: str | None = None,
    ) -> OrganisationPage:
        chosen = select(organisations).where(_filter(query))
        # As they were founded: what is above comes first.
        statement = _SORTING.page(chosen, sort or "created", row_number(cursor)).limit(limit + 1)
        with self._database.reading() as connection:
            rows = connection.execute(statement).all()
        more = str(rows[limit - 1].number) if len(rows) > limit else None
        return OrganisationPage(tuple(_organisation(row) for row in rows[:limit]), more)

    def has_open_children(self, organisation_id: str) -> bool:
        statement = select(_O.id).where(_O.parent == organisation_id, _O.closed_at.is_(None))
        with self._database.reading() as connection:
            return connection.execute(statement.limit(1)).first() is not None

    def list_ancestors(self, organisation_id: str) -> Sequence[Organisation]:
        statement = (
            select(organisations)
            .join(organisation_closure, _A.ancestor == _O.id)
            .where(_A.descendant == organisation_id)
        )
        with self._database.reading() as connection:
            found = [_organisation(row) for row in connection.execute(statement)]
        order = tuple(Level)
        return sorted(found, key=lambda organisation: order.index(organisation.level))

    def add_change(self, change: OrganisationChange) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                insert(organisation_changes).values(
                    organisation_id=change.organisation,
                    kind=change.kind,
                    before=change.before,
                    after=change.after,
                    at=change.at,
                    actor=change.actor,
                )
            )

    def list_changes(self, organisation_id: str) -> Sequence[OrganisationChange]:
        statement = (
            select(organisation_changes)
            .where(_H.organisation_id == organisation_id)
            .order_by(_H.number)
        )
        with self._database.reading() as connection:
            return [
                OrganisationChange(
                    row.organisation_id,
                    ChangeKind(row.kind),
                    row.before,
                    row.after,
                    row.at,
                    row.actor,
                )
                for row in connection.execute(statement)
            ]

    def _find(self, condition: Any) -> Organisation | None:
        with self._database.reading() as connection:
            row = connection.execute(select(organisations).where(condition)).first()
        return None if row is None else _organisation(row)


def _filter(query: OrganisationQuery) -> ColumnElement[bool]:
    condition = in_scope(_O.id, query.scope)
    if query.parent is not None:
        condition = and_(condition, _O.parent == query.parent)
    if query.under is not None:
        condition = and_(condition, _O.id.in_(below([query.under])))
    if query.text is not None:
        named = _O.name.contains(query.text, autoescape=True)
        condition = and_(condition, or_(named, _O.code == query.text))
    return condition


def _organisation(row: Any) -> Organisation:
    return Organisation(
        id=row.id,
        parent=row.parent,
        level=Level(row.level),
        name=row.name,
        code=row.code,
        created_at=row.created_at,
        closed_at=row.closed_at,
    )
