"""Clients in the database."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    bindparam,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from authn import opaque
from authn.oidc.clientmetadata import ClientMetadata
from authn.oidc.store import (
    AuthMethod,
    Client,
    IDTokenAlgorithm,
)
from authn.oidc.tables import (
    client_entries,
    clients,
)
from core.db import Database
from core.errors import Conflict, NotFound
from core.remembered import Remembered
from core.statements import Statement
from core.versions import read_version

_MOST_KNOWN: Final = 5000
_FIND = Statement(select(clients).where(clients.c.id == bindparam("of")))


class SQLClientStore:
    """`authn.oidc.store.ClientStore` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known = Remembered(
            self._read,
            lambda: database.version(clients),
            counted=lambda: read_version(database, clients),
            most=_MOST_KNOWN,
        )

    def add(self, client: Client) -> None:
        try:
            with self._database.transaction() as connection, connection.begin_nested():
                connection.execute(insert(clients).values(**_client_row(client)))
                _write_entries(connection, client)
        except IntegrityError as error:
            raise Conflict(
                f"there is a client {client.id!r} already, or one with its resource or address"
            ) from error

    def find(self, client_id: str) -> Client | None:
        try:
            return self._known.get(client_id)
        except NotFound:  # not kept: anybody can ask for any number of them
            return None

    def recall(self, client_id: str) -> Client | None:
        return self._known.recall(client_id)

    def _read(self, client_id: str) -> Client:
        row = self._database.run(_FIND, {"of": client_id}).first()
        if row is None:
            raise NotFound("there is no such client")
        return _client(row)

    def hold(self, client_id: str) -> Client | None:
        return self._one(clients.c.id == client_id, held=True)

    def find_entry(self, address: str) -> Client | None:
        entry = client_entries.c.digest == opaque.digest(address)
        return self._one(clients.c.id.in_(select(client_entries.c.client_id).where(entry)))

    def find_resource(self, resource: str) -> Client | None:
        return self._one(clients.c.resource == resource)

    def _one(self, condition: ColumnElement[bool], *, held: bool = False) -> Client | None:
        query = select(clients).where(condition)
        with self._database.reading() as connection:
            row = connection.execute(query.with_for_update() if held else query).first()
        return None if row is None else _client(row)

    def list_clients(self) -> Sequence[Client]:
        with self._database.reading() as connection:
            rows = connection.execute(select(clients).order_by(clients.c.id)).all()
        return [_client(row) for row in rows]

    def replace(self, client: Client) -> bool:
        values = _client_row(client)
        try:
            with self._database.transaction() as connection, connection.begin_nested():
                done = connection.execute(
                    update(clients).where(clients.c.id == client.id).values(**values)
                )
                connection.execute(
                    delete(client_entries).where(client_entries.c.client_id == client.id)
                )
                _write_entries(connection, client)
        except IntegrityError as error:
            raise Conflict("another client has this resource or address") from error
        return done.rowcount == 1

    def remove(self, client_id: str) -> bool:
        with self._database.transaction() as connection:
            done = connection.execute(delete(clients).where(clients.c.id == client_id))
            connection.execute(
                delete(client_entries).where(client_entries.c.client_id == client_id)
            )
        return done.rowcount == 1


def _write_entries(connection: Connection, client: Client) -> None:
    for address in client.metadata.entries:
        row = {"digest": opaque.digest(address), "client_id": client.id}
        connection.execute(insert(client_entries).values(**row))


def _client_row(client: Client) -> dict[str, Any]:
    return {
        **asdict(client),
        "redirect_uris": json.dumps(client.redirect_uris),
        "post_logout_redirect_uris": json.dumps(client.post_logout_redirect_uris),
        "scopes": " ".join(sorted(client.scopes)),
        "metadata": client.metadata.model_dump_json(exclude_defaults=True),
        "resource": client.metadata.resource,
    }


def _client(row: Any) -> Client:
    fields = row._asdict()
    del fields["resource"]  # it is in the metadata; the column is there to be searched
    return Client(
        **fields
        | {
            "auth_method": AuthMethod(fields["auth_method"]),
            "redirect_uris": tuple(json.loads(fields["redirect_uris"])),
            "post_logout_redirect_uris": tuple(json.loads(fields["post_logout_redirect_uris"])),
            "scopes": frozenset(fields["scopes"].split()),
            "id_token_algorithm": IDTokenAlgorithm(fields["id_token_algorithm"]),
            "metadata": _metadata(fields["metadata"]),
        }
    )


@lru_cache(maxsize=1000)
def _metadata(text: str) -> ClientMetadata:
    return ClientMetadata.model_validate_json(text)
