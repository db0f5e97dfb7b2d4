"""Codes and tokens in the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Table,
    Text,
    and_,
    bindparam,
    delete,
    exists,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.dialects import postgresql

from authn.logout.store import Channel
from authn.logout.tables import participations
from authn.oidc.grant import Confirmation, Grant, decode_grant, encode_grant
from authn.oidc.store import (
    AccessToken,
    AuthorizationCode,
    RefreshToken,
)
from authn.oidc.tables import (
    access_tokens,
    codes,
    device_codes,
    refresh_tokens,
)
from authn.sqlsessions import hold_session
from authn.sqlstore import select_with_owner, split_owner, with_owner
from authn.store import User
from authn.tables import sessions
from core.audit_sql import locking
from core.db import Database
from core.statements import Statement
from core.steps import Statements, Steps, asked

_T: BindParameter[bytes] = bindparam("of")
_FIND = {
    table: Statement(select(table).where(table.c.digest == _T))
    for table in (codes, access_tokens, refresh_tokens)
}
_WITH_OWNER = {table: with_owner(table) for table in (codes, refresh_tokens)}
_ADD = {table: Statement(insert(table)) for table in _FIND}
_OF_CLIENT = and_(codes.c.digest == _T, codes.c.client_id == bindparam("by"))
_CLAIM_CODE = Statement(select_with_owner(codes).where(_OF_CLIENT).with_for_update(of=codes))
_UNUSED = and_(_OF_CLIENT, codes.c.used_at.is_(None))
_TAKE_PART = Statement(
    postgresql.insert(participations)
    .from_select(
        [column.name for column in participations.c],
        select(
            codes.c.sid,
            codes.c.client_id,
            literal(""),
            literal(Channel.OIDC.value),
            codes.c.subject,
            bindparam("backchannel", type_=Text),
            bindparam("frontchannel", type_=Text),
        ).where(_UNUSED, codes.c.sid.is_not(None), codes.c.subject.is_not(None)),
    )
    .on_conflict_do_nothing()
)
"""As `authn.logout.store.ParticipationStore` does, of a code, whose session is not known yet."""
_LOCK_LOG = locking(exists().where(_UNUSED))
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
_NEW = access_tokens.insert().from_select(
    [column.name for column in access_tokens.c],
    select(*(bindparam(column.name, type_=column.type) for column in access_tokens.c)).where(
        exists().where(
            refresh_tokens.c.digest == bindparam("family"),
            refresh_tokens.c.current == bindparam("now_current"),
        )
    ),
)
_ADD_ROTATED = Statement(_NEW)
"""Adds an access token if the family is at a secret that nobody else can have drawn."""

# Whoever ends a session or a grant removes its row first, and then what it gave, in one
# transaction. So what is given holds that row, and is either seen by them or not given.
_ADD_CODE = Statement(
    insert(codes).from_select(
        [column.name for column in codes.c],
        select(*(bindparam(column.name, type_=column.type) for column in codes.c))
        .select_from(sessions)
        .where(sessions.c.sid == bindparam("open"))
        .with_for_update(read=True, key_share=True),
    )
)
_HOLD_FAMILY = Statement(
    select(refresh_tokens.c.digest)
    .where(refresh_tokens.c.digest == _T)
    .with_for_update(read=True, key_share=True)
)
_ADD_BESIDE = Statement(
    insert(access_tokens).from_select(
        [column.name for column in access_tokens.c],
        select(*(bindparam(column.name, type_=column.type) for column in access_tokens.c)).where(
            exists().where(refresh_tokens.c.digest == bindparam("family"))
        ),
    )
)


class SQLGrantStore:
    """`authn.oidc.store.GrantStore` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_code(self, code: AuthorizationCode) -> bool:
        return self._database.run(*_to_add_code(code)).changed == 1

    def adding_code(self, code: AuthorizationCode) -> Steps[bool]:
        (added,) = yield from asked([_to_add_code(code)])
        return bool(added.changed == 1)

    def find_code(self, digest: bytes) -> AuthorizationCode | None:
        row = self._find(codes, digest)
        return None if row is None else AuthorizationCode(**_with_grant(row))

    def finding_code(self, digest: bytes) -> Steps[tuple[AuthorizationCode, User | None] | None]:
        row, owner = yield from _finding(codes, digest)
        return None if row is None else (AuthorizationCode(**_with_grant(row)), owner)

    def to_claim_code(
        self,
        digest: bytes,
        client_id: str,
        logout_uris: tuple[str | None, str | None] = (None, None),
    ) -> Statements:
        values = {"of": digest, "by": client_id}
        if not any(logout_uris):
            return [(_CLAIM_CODE, values), (_LOCK_LOG, values)]
        # Behind the code, as the end of a session does it, and before the log is locked: others
        # who write the same row wait for the log.
        back, front = logout_uris
        entered = {**values, "backchannel": back, "frontchannel": front}
        return [(_CLAIM_CODE, values), (_TAKE_PART, entered), (_LOCK_LOG, values)]

    def claimed(self, ran: Any) -> tuple[AuthorizationCode, User | None] | None:
        row, owner = _found(ran)
        return None if row is None else (AuthorizationCode(**_with_grant(row)), owner)

    def to_use_code(self, digest: bytes, now: datetime) -> Statements:
        return [(_USE_CODE, {"of": digest, "now": now})]

    def add_token(self, token: AccessToken) -> None:
        self._database.send(_ADD[access_tokens], _row(token))

    def adding_token(self, token: AccessToken) -> Steps[None]:
        yield from asked(self.to_add_token(token))

    def to_add_token(self, token: AccessToken) -> Statements:
        return [(_ADD[access_tokens], _row(token))]

    def find_token(self, digest: bytes) -> AccessToken | None:
        row = self._find(access_tokens, digest)
        return None if row is None else AccessToken(**_with_grant(row))

    def remove_token(self, digest: bytes) -> bool:
        return self._remove(access_tokens, access_tokens.c.digest == digest) == 1

    def to_add_refresh_token(self, token: RefreshToken) -> Statements:
        return [(_ADD[refresh_tokens], _row(token))]

    def find_refresh_token(self, digest: bytes) -> RefreshToken | None:
        row = self._find(refresh_tokens, digest)
        return None if row is None else RefreshToken(**_with_grant(row))

    def finding_refresh_token(
        self, digest: bytes
    ) -> Steps[tuple[RefreshToken, User | None] | None]:
        row, owner = yield from _finding(refresh_tokens, digest)
        return None if row is None else (RefreshToken(**_with_grant(row)), owner)

    def rotating(
        self,
        token: RefreshToken,
        gives: AccessToken,
        *,
        current: bytes,
        step: bytes,
        now: datetime,
    ) -> Steps[bool]:
        changed = {
            "of": token.digest,
            "shown": token.current,
            "to_current": current,
            "to_previous": token.current,
            "to_step": step,
            "to_rotated_at": now,
        }
        given = {**_row(gives), "family": token.digest, "now_current": current}
        rotated, added = yield from asked([(_ROTATE, changed), (_ADD_ROTATED, given)])
        return bool(rotated.changed == added.changed == 1)

    def adding_beside(self, token: RefreshToken, gives: AccessToken) -> Steps[bool]:
        given = {**_row(gives), "family": token.digest}
        _, added = yield from asked([(_HOLD_FAMILY, {"of": token.digest}), (_ADD_BESIDE, given)])
        return bool(added.changed == 1)

    def remove_grant(self, grant_id: str) -> int:
        return self._remove_all("grant_id", grant_id)

    def remove_sessions(self, sids: Sequence[str]) -> None:
        self._remove_all("sid", *sids)

    def hold_session(self, sid: str) -> bool:
        with self._database.transaction() as connection:
            return hold_session(connection, sid)

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


def _to_add_code(code: AuthorizationCode) -> tuple[Statement, dict[str, Any]]:
    return _ADD_CODE, {**_row(code), "open": code.grant.sid}


def _finding(table: Table, digest: bytes) -> Steps[tuple[Any, User | None]]:
    (found,) = yield from asked([(_WITH_OWNER[table], {"of": digest})])
    return _found(found)


def _found(ran: Any) -> tuple[Any, User | None]:
    row = ran.first()
    return (None, None) if row is None else split_owner(row)


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
