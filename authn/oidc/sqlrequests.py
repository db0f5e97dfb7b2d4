"""Pushed requests, and the digests of what is good once, in the database."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from authn.oidc.pushed import PushedRequest, decode_fields, encode_fields
from authn.oidc.tables import pushed_requests, replays
from core.db import Database


class SQLPushedRequestStore:
    """`authn.oidc.pushed.PushedRequestStore` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_pushed(self, request: PushedRequest) -> None:
        values = {
            "digest": request.digest,
            "client_id": request.client_id,
            "fields": encode_fields(request.fields),
            "signed": request.signed,
            "expires_at": request.expires_at,
        }
        with self._database.transaction() as connection:
            connection.execute(insert(pushed_requests).values(**values))

    def find_pushed(self, digest: bytes) -> PushedRequest | None:
        query = select(pushed_requests).where(pushed_requests.c.digest == digest)
        with self._database.reading() as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        return PushedRequest(**row._asdict() | {"fields": decode_fields(row.fields)})

    def use_pushed(self, digest: bytes, now: datetime) -> bool:
        table = pushed_requests
        with self._database.transaction() as connection:
            changed = connection.execute(
                update(table)
                .where(table.c.digest == digest, table.c.used_at.is_(None))
                .values(used_at=now)
            )
        return changed.rowcount == 1


class SQLReplayStore:
    """`authn.oidc.replays.ReplayStore` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def remember(self, digest: bytes, expires_at: datetime) -> bool:
        try:
            with self._database.transaction() as connection, connection.begin_nested():
                connection.execute(insert(replays).values(digest=digest, expires_at=expires_at))
        except IntegrityError:
            return False
        return True
