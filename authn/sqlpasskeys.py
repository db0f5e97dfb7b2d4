"""Passkeys in the database."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from authn.passkeys import Passkey
from authn.tables_factors import passkeys
from core.db import Database
from core.errors import Conflict

_P = passkeys.c


class SQLPasskeyStore:
    """`authn.passkeys.PasskeyStore` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, passkey: Passkey) -> None:
        values = {**asdict(passkey), "credential_digest": passkey.credential_digest}
        try:
            with self._database.transaction() as connection, connection.begin_nested():
                connection.execute(insert(passkeys).values(**values))
        except IntegrityError as error:
            raise Conflict("this passkey is enrolled already") from error

    def find(self, credential_id: bytes) -> Passkey | None:
        digest = hashlib.sha256(credential_id).digest()
        with self._database.reading() as connection:
            row = connection.execute(select(passkeys).where(_P.credential_digest == digest)).first()
        return None if row is None else _passkey(row)

    def list_of_user(self, user_id: str) -> Sequence[Passkey]:
        statement = select(passkeys).where(_P.user_id == user_id).order_by(_P.created_at, _P.id)
        with self._database.reading() as connection:
            return [_passkey(row) for row in connection.execute(statement)]

    def used(self, passkey: Passkey, *, sign_count: int, now: datetime) -> bool:
        with self._database.transaction() as connection:
            changed = connection.execute(
                update(passkeys)
                .where(_P.id == passkey.id, _P.sign_count == passkey.sign_count)
                .values(sign_count=sign_count, used_at=now)
            )
        return changed.rowcount == 1

    def rename(self, passkey_id: str, user_id: str, name: str) -> bool:
        with self._database.transaction() as connection:
            changed = connection.execute(
                update(passkeys).where(_P.id == passkey_id, _P.user_id == user_id).values(name=name)
            )
        return changed.rowcount == 1

    def remove(self, passkey_id: str, user_id: str) -> bool:
        with self._database.transaction() as connection:
            gone = connection.execute(
                delete(passkeys).where(_P.id == passkey_id, _P.user_id == user_id)
            )
        return gone.rowcount == 1


def _passkey(row: Any) -> Passkey:
    fields = row._asdict()
    del fields["credential_digest"]
    return Passkey(**fields)
