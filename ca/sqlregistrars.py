"""`ca.registrars.RegistrarStore` and `ca.counter.DoneStore` in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError

from ca.registrars import Registrar
from ca.tables_registrars import registrar_acts, registrars
from core.db import Database
from core.errors import Conflict

_R = registrars.c
_A = registrar_acts.c


class SQLRegistrarStore:
    """Registration authorities on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_registrar(self, registrar: Registrar) -> None:
        try:
            with self._database.transaction() as connection, connection.begin_nested():
                connection.execute(
                    insert(registrars).values(
                        name=registrar.name,
                        key=registrar.key,
                        organisation_id=registrar.organisation,
                        url=registrar.url,
                        created_at=registrar.created_at,
                    )
                )
        except IntegrityError as error:
            raise Conflict("a registration authority has this name or this key already") from error

    def remove_registrar(self, name: str) -> bool:
        with self._database.transaction() as connection:
            return connection.execute(delete(registrars).where(_R.name == name)).rowcount == 1

    def list_registrars(self) -> Sequence[Registrar]:
        with self._database.reading() as connection:
            rows = connection.execute(select(registrars).order_by(_R.name)).all()
        return [_registrar(row) for row in rows]

    def find_by_key(self, key: str) -> Registrar | None:
        with self._database.reading() as connection:
            row = connection.execute(select(registrars).where(_R.key == key)).first()
        return None if row is None else _registrar(row)

    def find_done(self, registrar: str, act_id: str) -> str | None:
        statement = select(_A.fingerprint).where(_A.registrar == registrar, _A.act_id == act_id)
        with self._database.reading() as connection:
            found = connection.execute(statement).scalar_one_or_none()
        return None if found is None else str(found)

    def add_done(self, registrar: str, act_id: str, fingerprint: str) -> None:
        try:
            with self._database.transaction() as connection, connection.begin_nested():
                connection.execute(
                    insert(registrar_acts).values(
                        registrar=registrar, act_id=act_id, fingerprint=fingerprint
                    )
                )
        except IntegrityError as error:
            raise Conflict("this act is being done already") from error


def _registrar(row: Any) -> Registrar:
    return Registrar(row.name, row.key, row.organisation_id, row.url, row.created_at)
