"""`ca.subjects_store.SubjectStore` in SQL, and the sealed key of the identifiers' digests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Select, insert, select
from sqlalchemy import update as sql_update
from sqlalchemy.exc import IntegrityError

from ca.sqlorganisations import below, in_scope
from ca.subjects_store import (
    IdentifierType,
    Subject,
    SubjectKind,
    SubjectMove,
    SubjectPage,
    SubjectQuery,
)
from ca.tables_subjects import identifier_key, subject_moves, subjects
from core.db import Database
from core.errors import Conflict
from core.sqllisting import Sorting, row_number

_S = subjects.c
_M = subject_moves.c
_KEY_NAME: Final = "identifiers"


_SORTING = Sorting(_S.number, created=_S.number, name=_S.name)


class SQLSubjectStore:
    """`SubjectStore` and `keystore.digests.SealedKeyStore` on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_subject(self, subject: Subject) -> None:
        row = {
            "id": subject.id,
            "kind": subject.kind,
            "identifier_type": subject.identifier_type,
            "identifier": subject.identifier,
            "identifier_tail": subject.identifier_tail,
            "created_at": subject.created_at,
            **_changing(subject),
        }
        try:
            with self._database.transaction() as connection, connection.begin_nested():
                connection.execute(insert(subjects).values(row))
        except IntegrityError as error:
            raise Conflict(
                f"a {subject.kind} with this {subject.identifier_type} is kept already: look for "
                "it with `yinxin subject find`, or ask whose organisation it is to move it"
            ) from error

    def update_subject(self, subject: Subject) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                sql_update(subjects).where(_S.id == subject.id).values(_changing(subject))
            )

    def find_subject(self, subject_id: str, *, lock: bool = False) -> Subject | None:
        statement = select(subjects).where(_S.id == subject_id)
        return self._find(statement.with_for_update() if lock else statement)

    def find_by_identifier(
        self, kind: SubjectKind, identifier_type: IdentifierType, identifier: str
    ) -> Subject | None:
        return self._find(
            select(subjects).where(
                _S.kind == kind,
                _S.identifier_type == identifier_type,
                _S.identifier == identifier,
            )
        )

    def list_subjects(
        self,
        query: SubjectQuery,
        *,
        cursor: str | None = None,
        limit: int = 100,
        sort: str | None = None,
    ) -> SubjectPage:
        statement = _SORTING.page(_filtered(query), sort, row_number(cursor)).limit(limit + 1)
        with self._database.reading() as connection:
            rows = connection.execute(statement).all()
        more = str(rows[limit - 1].number) if len(rows) > limit else None
        return SubjectPage(tuple(_subject(row) for row in rows[:limit]), more)

    def add_move(self, move: SubjectMove) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                insert(subject_moves).values(
                    subject_id=move.subject,
                    before=move.before,
                    after=move.after,
                    at=move.at,
                    actor=move.actor,
                )
            )

    def list_moves(self, subject_id: str) -> Sequence[SubjectMove]:
        statement = select(subject_moves).where(_M.subject_id == subject_id).order_by(_M.number)
        with self._database.reading() as connection:
            return [
                SubjectMove(row.subject_id, row.before, row.after, row.at, row.actor)
                for row in connection.execute(statement)
            ]

    def find_sealed_key(self) -> bytes | None:
        statement = select(identifier_key.c.sealed).where(identifier_key.c.name == _KEY_NAME)
        with self._database.reading() as connection:
            found = connection.execute(statement).scalar()
        return None if found is None else bytes(found)

    def keep_sealed_key(self, sealed: bytes) -> bytes:
        try:
            with self._database.transaction() as connection, connection.begin_nested():
                connection.execute(insert(identifier_key).values(name=_KEY_NAME, sealed=sealed))
        except IntegrityError:
            found = self.find_sealed_key()
            if found is None:
                raise
            return found
        return sealed

    def _find(self, statement: Select[Any]) -> Subject | None:
        with self._database.reading() as connection:
            row = connection.execute(statement).first()
        return None if row is None else _subject(row)


def _filtered(query: SubjectQuery) -> Select[Any]:
    statement = select(subjects).where(in_scope(_S.organisation_id, query.scope))
    if query.kind is not None:
        statement = statement.where(_S.kind == query.kind)
    if query.under is not None:
        statement = statement.where(_S.organisation_id.in_(below([query.under])))
    if query.text is not None:
        statement = statement.where(_S.name.startswith(query.text, autoescape=True))
    return statement


def _changing(subject: Subject) -> dict[str, Any]:
    return {
        "organisation_id": subject.organisation,
        "name": subject.name,
        "email": subject.email,
        "contacts": json.dumps(dict(subject.contacts), ensure_ascii=False),
        "updated_at": subject.updated_at,
    }


def _subject(row: Any) -> Subject:
    return Subject(
        id=row.id,
        kind=SubjectKind(row.kind),
        identifier_type=IdentifierType(row.identifier_type),
        identifier=row.identifier,
        identifier_tail=row.identifier_tail,
        organisation=row.organisation_id,
        name=row.name,
        email=row.email,
        contacts=json.loads(row.contacts),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
