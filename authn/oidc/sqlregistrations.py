"""Initial and registration access tokens in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import delete, insert, select, update

from authn.oidc.dynamicregistration import InitialToken
from authn.oidc.tables import initial_tokens, registrations
from core.db import Database

_I, _R = initial_tokens.c, registrations.c


class SQLRegistrationStore:
    """`authn.oidc.dynamicregistration.RegistrationStore` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_initial(self, token: InitialToken) -> None:
        with self._database.transaction() as connection:
            connection.execute(insert(initial_tokens).values(**asdict(token)))

    def list_initial(self) -> Sequence[InitialToken]:
        with self._database.reading() as connection:
            rows = connection.execute(select(initial_tokens).order_by(_I.created_at)).all()
        return [InitialToken(**row._asdict()) for row in rows]

    def remove_initial(self, token_id: str) -> bool:
        with self._database.transaction() as connection:
            gone = connection.execute(delete(initial_tokens).where(_I.id == token_id))
        return gone.rowcount == 1

    def use_initial(self, digest: bytes, now: datetime) -> bool:
        with self._database.transaction() as connection:
            changed = connection.execute(
                update(initial_tokens)
                .where(_I.digest == digest, _I.uses_left > 0, _I.expires_at > now)
                .values(uses_left=_I.uses_left - 1)
            )
        return changed.rowcount == 1

    def put_registration(self, client_id: str, digest: bytes) -> None:
        with self._database.transaction() as connection:
            connection.execute(insert(registrations).values(client_id=client_id, digest=digest))

    def find_registration(self, client_id: str) -> bytes | None:
        query = select(_R.digest).where(_R.client_id == client_id)
        with self._database.reading() as connection:
            found = connection.execute(query).scalar()
        return None if found is None else bytes(found)

    def remove_registration(self, client_id: str) -> None:
        with self._database.transaction() as connection:
            connection.execute(delete(registrations).where(_R.client_id == client_id))
