"""The names of the signing keys in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from authn.oidc.keyrotation import SigningKey
from authn.oidc.store import IDTokenAlgorithm
from authn.oidc.tables_keys import signing_keys
from core.db import Database
from core.errors import Conflict
from keystore.keyref import KeyRef


class SQLSigningKeyStore:
    """`authn.oidc.keyring.SigningKeyStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, key: SigningKey) -> None:
        try:
            with self._database.transaction() as connection, connection.begin_nested():
                connection.execute(insert(signing_keys).values(**asdict(key)))
        except IntegrityError as error:
            raise Conflict(f"the signing key {key.ref} is known already") from error

    def list_keys(self) -> Sequence[SigningKey]:
        rows = signing_keys
        with self._database.reading() as connection:
            found = connection.execute(select(rows).order_by(rows.c.created_at, rows.c.ref)).all()
        return [
            SigningKey(
                KeyRef(row.ref),
                IDTokenAlgorithm(row.algorithm),
                row.created_at,
                row.signs_from,
                row.signs_until,
                row.gone_at,
                row.destroyed_at,
            )
            for row in found
        ]

    def replace(self, known: SigningKey, changed: SigningKey) -> bool:
        rows = signing_keys
        same = [rows.c[name].is_not_distinct_from(value) for name, value in asdict(known).items()]
        with self._database.transaction() as connection:
            done = connection.execute(update(rows).where(*same).values(**asdict(changed)))
        return done.rowcount == 1
