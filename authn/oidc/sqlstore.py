"""Clients, codes and access tokens in the database."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from authn.oidc.store import (
    AccessToken,
    AuthMethod,
    AuthorizationCode,
    Client,
    IDTokenAlgorithm,
)
from authn.tables import access_tokens, authorization_codes, clients
from core.db import Database
from core.errors import Conflict


class SQLClientStore:
    """`authn.oidc.store.ClientStore` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, client: Client) -> None:
        values = {
            **asdict(client),
            "redirect_uris": json.dumps(client.redirect_uris),
            "post_logout_redirect_uris": json.dumps(client.post_logout_redirect_uris),
            "scopes": " ".join(sorted(client.scopes)),
        }
        try:
            with self._database.transaction() as connection, connection.begin_nested():
                connection.execute(insert(clients).values(**values))
        except IntegrityError as error:
            raise Conflict(f"there is a client {client.id!r} already") from error

    def find(self, client_id: str) -> Client | None:
        with self._database.reading() as connection:
            row = connection.execute(select(clients).where(clients.c.id == client_id)).first()
        return None if row is None else _client(row)

    def list_clients(self) -> Sequence[Client]:
        with self._database.reading() as connection:
            rows = connection.execute(select(clients).order_by(clients.c.id)).all()
        return [_client(row) for row in rows]

    def remove(self, client_id: str) -> bool:
        with self._database.transaction() as connection:
            done = connection.execute(delete(clients).where(clients.c.id == client_id))
        return done.rowcount == 1


class SQLGrantStore:
    """`authn.oidc.store.GrantStore` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_code(self, code: AuthorizationCode) -> None:
        with self._database.transaction() as connection:
            connection.execute(insert(authorization_codes).values(**asdict(code)))

    def find_code(self, digest: bytes) -> AuthorizationCode | None:
        codes = authorization_codes
        with self._database.reading() as connection:
            row = connection.execute(select(codes).where(codes.c.digest == digest)).first()
        return None if row is None else AuthorizationCode(**_fields(row))

    def use_code(self, digest: bytes, now: datetime) -> bool:
        codes = authorization_codes
        with self._database.transaction() as connection:
            changed = connection.execute(
                update(codes)
                .where(codes.c.digest == digest, codes.c.used_at.is_(None))
                .values(used_at=now)
            )
        return changed.rowcount == 1

    def add_token(self, token: AccessToken) -> None:
        with self._database.transaction() as connection:
            connection.execute(insert(access_tokens).values(**asdict(token)))

    def find_token(self, digest: bytes) -> AccessToken | None:
        with self._database.reading() as connection:
            row = connection.execute(
                select(access_tokens).where(access_tokens.c.digest == digest)
            ).first()
        return None if row is None else AccessToken(**_fields(row))

    def remove_tokens_of_grant(self, grant_id: str) -> int:
        with self._database.transaction() as connection:
            return connection.execute(
                delete(access_tokens).where(access_tokens.c.grant_id == grant_id)
            ).rowcount

    def remove_sessions(self, sids: Sequence[str]) -> None:
        self._remove(access_tokens.c.sid.in_(sids), authorization_codes.c.sid.in_(sids))

    def remove_client(self, client_id: str) -> None:
        self._remove(
            access_tokens.c.client_id == client_id, authorization_codes.c.client_id == client_id
        )

    def _remove(self, tokens: Any, codes: Any) -> None:
        # Used codes stay until they expire, so that a second use is still recognised. Codes go
        # first: the token endpoint locks them in that order too.
        unused = authorization_codes.c.used_at.is_(None)
        with self._database.transaction() as connection:
            connection.execute(delete(authorization_codes).where(codes, unused))
            connection.execute(delete(access_tokens).where(tokens))


def _client(row: Any) -> Client:
    fields = _fields(row)
    return Client(
        **fields
        | {
            "auth_method": AuthMethod(fields["auth_method"]),
            "redirect_uris": tuple(json.loads(fields["redirect_uris"])),
            "post_logout_redirect_uris": tuple(json.loads(fields["post_logout_redirect_uris"])),
            "scopes": frozenset(fields["scopes"].split()),
            "id_token_algorithm": IDTokenAlgorithm(fields["id_token_algorithm"]),
        }
    )


def _fields(row: Any) -> dict[str, Any]:
    return dict(row._mapping)  # noqa: SLF001 - its public name in SQLAlchemy
