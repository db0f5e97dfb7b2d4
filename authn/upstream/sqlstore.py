"""Links in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError

from authn.upstream.links import Link
from authn.upstream.tables import external_identities
from core.db import Database
from core.errors import Conflict

_E = external_identities.c


class SQLLinkStore:
    """`authn.upstream.links.LinkStore` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, link: Link) -> None:
        try:
            with self._database.transaction() as connection, connection.begin_nested():
                connection.execute(insert(external_identities).values(**asdict(link)))
        except IntegrityError as error:
            raise Conflict("this identity is somebody's, or you have one of this source") from error

    def find(self, source: str, subject: str) -> Link | None:
        statement = select(external_identities).where(_E.source == source, _E.subject == subject)
        with self._database.reading() as connection:
            row = connection.execute(statement).first()
        return None if row is None else Link(**row._asdict())

    def list_of_user(self, user_id: str) -> Sequence[Link]:
        statement = select(external_identities).where(_E.user_id == user_id).order_by(_E.source)
        with self._database.reading() as connection:
            return [Link(**row._asdict()) for row in connection.execute(statement)]

    def remove(self, source: str, user_id: str) -> bool:
        with self._database.transaction() as connection:
            gone = connection.execute(
                delete(external_identities).where(_E.source == source, _E.user_id == user_id)
            )
        return gone.rowcount == 1
