"""Clients, codes and tokens in the database."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Table,
    and_,
    bindparam,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from authn import opaque
from authn.oidc.clientmetadata import ClientMetadata
from authn.oidc.grant import Confirmation, Grant, decode_grant, encode_grant
from authn.oidc.store import (
    AccessToken,
    AuthMethod,
    AuthorizationCode,
    Client,
    IDTokenAlgorithm,
    RefreshToken,
)
from authn.oidc.tables import (
    access_tokens,
    client_entries,
    clients,
    codes,
    device_codes,
    refresh_tokens,
)
from core.db import Database
from core.errors import Conflict
from core.remembered import Remembered
from core.statements import Statement

_T: BindParameter[bytes] = bindparam("of")
_FIND = {
    table: Statement(select(table).where(table.c.digest == _T))
    for table in (codes, access_tokens, refresh_tokens)
}
_ADD = {table: Statement(insert(table)) for table in _FIND}
_USE_CODE = Statement(
    update(codes)
    .where(codes.c.digest == _T, codes.c.used_at.is_(None))
    .values(used_at=bindparam("now"))
)
_ROTATE = Statement(
    update(refresh_tokens)
    .where(refresh_tokens.c.digest == _T, refresh_tokens.c.current == bindparam("shown"))
    .values(
        {name: bindparam(f"to_{name}") for name in ("current", "previous", "step", "rotated_at")}
    )
)


class SQLClientStore:
    """`authn.oidc.store.ClientStore` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known = Remembered(self._read, lambda: database.version(clients))

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
        return self._known.get(client_id)

    def _read(self, client_id: str) -> Client | None:
        return self._one(clients.c.id == client_id)

    def find_entry(self, address: str) -> Client | None:
        entry = client_entries.c.digest == opaque.digest(address)
        return self._one(clients.c.id.in_(select(client_entries.c.client_id).where(entry)))

    def find_resource(self, resource: str) -> Client | None:
        return self._one(clients.c.resource == resource)

    def _one(self, condition: ColumnElement[bool]) -> Client | None:
        with self._database.reading() as connection:
            row = connection.execute(select(clients).where(condition)).first()
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


class SQLGrantStore:
    """`authn.oidc.store.GrantStore` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_code(self, code: AuthorizationCode) -> None:
        self._database.run(_ADD[codes], _row(code))

    def find_code(self, digest: bytes) -> AuthorizationCode | None:
        row = self._find(codes, digest)
        return None if row is None else AuthorizationCode(**_with_grant(row))

    def use_code(self, digest: bytes, now: datetime) -> bool:
        return self._database.run(_USE_CODE, {"of": digest, "now": now}).changed == 1

    def add_token(self, token: AccessToken) -> None:
        self._database.send(_ADD[access_tokens], _row(token))

    def find_token(self, digest: bytes) -> AccessToken | None:
        row = self._find(access_tokens, digest)
        return None if row is None else AccessToken(**_with_grant(row))

    def remove_token(self, digest: bytes) -> bool:
        return self._remove(access_tokens, access_tokens.c.digest == digest) == 1

    def add_refresh_token(self, token: RefreshToken) -> None:
        self._database.send(_ADD[refresh_tokens], _row(token))

    def find_refresh_token(self, digest: bytes) -> RefreshToken | None:
        row = self._find(refresh_tokens, digest)
        return None if row is None else RefreshToken(**_with_grant(row))

    def rotate(self, token: RefreshToken, *, current: bytes, step: bytes, now: datetime) -> bool:
        rotated = self._database.run(
            _ROTATE,
            {
                "of": token.digest,
                "shown": token.current,
                "to_current": current,
                "to_previous": token.current,
                "to_step": step,
                "to_rotated_at": now,
            },
        )
        return rotated.changed == 1

    def remove_grant(self, grant_id: str) -> int:
        return self._remove_all("grant_id", grant_id)

    def remove_sessions(self, sids: Sequence[str]) -> None:
        self._remove_all("sid", *sids)

    def remove_client(self, client_id: str) -> None:
        self._remove_all("client_id", client_id)

    def remove_user(self, user_id: str) -> None:
        self._remove_all("user_id", user_id)

    def _remove_all(self, column: str, *values: str) -> int:
        # Used codes stay until they expire, so that a second use is still recognised. Codes go
        # first: the token endpoint locks them in that order too.
        unused = and_(codes.c[column].in_(values), codes.c.used_at.is_(None))
        with self._database.transaction():
            self._remove(codes, unused)
            return sum(
                self._remove(table, table.c[column].in_(values))
                for table in (device_codes, refresh_tokens, access_tokens)
            )

    def _find(self, table: Table, digest: bytes) -> Any:
        row = self._database.run(_FIND[table], {"of": digest}).first()
        return None if row is None else row._asdict()

    def _remove(self, table: Table, condition: ColumnElement[bool]) -> int:
        with self._database.single() as connection:
            return connection.execute(delete(table).where(condition)).rowcount


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
    fields = _fields(row)
    del fields["resource"]  # it is in the metadata; the column is there to be searched
    return Client(
        **fields
        | {
            "auth_method": AuthMethod(fields["auth_method"]),
            "redirect_uris": tuple(json.loads(fields["redirect_uris"])),
            "post_logout_redirect_uris": tuple(json.loads(fields["post_logout_redirect_uris"])),
            "scopes": frozenset(fields["scopes"].split()),
            "id_token_algorithm": IDTokenAlgorithm(fields["id_token_algorithm"]),
            "metadata": ClientMetadata.model_validate_json(fields["metadata"]),
        }
    )


def _row(value: AuthorizationCode | AccessToken | RefreshToken) -> dict[str, Any]:
    bound = value.confirmation
    fields = {name: getattr(value, name) for name in type(value).__slots__ if name != "grant"}
    fields["confirmation"] = None if bound is None else f"{bound.member}:{bound.thumbprint}"
    return fields | grant_columns(value.grant)


def _with_grant(row: dict[str, Any]) -> dict[str, Any]:
    fields = take_grant(row)
    bound = fields["confirmation"]
    fields["confirmation"] = None if bound is None else Confirmation(*bound.split(":", 1))
    return fields


def grant_columns(grant: Grant) -> dict[str, Any]:
    """Return what a row keeps of a grant."""
    return {
        "grant_id": grant.id,
        "client_id": grant.client_id,
        "user_id": grant.user_id,
        "sid": grant.sid,
        "granted": encode_grant(grant),
    }


def take_grant(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a row with its grant in place of the columns of one."""
    searched = {name: fields.pop(name) for name in ("grant_id", "client_id", "user_id", "sid")}
    fields["grant"] = decode_grant(fields.pop("granted"), **searched)
    return fields


def _fields(row: Any) -> dict[str, Any]:
    return dict(row._mapping)  # noqa: SLF001 - its public name in SQLAlchemy
