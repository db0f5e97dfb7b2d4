"""Users, tokens and bindings in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, Table, bindparam, delete, exists, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from authn import tables
from authn.store import APIToken, Binding, Challenge, User
from core.db import Database
from core.errors import Conflict
from core.identity import Role
from core.remembered import Remembered
from core.sqllisting import Sorting
from core.statements import Statement

_FIND = Statement(select(tables.users).where(tables.users.c.id == bindparam("of")))
_FIND_NAMED = Statement(select(tables.users).where(tables.users.c.name == bindparam("of")))
_READ_ATTEMPTS = Statement(
    select(tables.users.c.failed_attempts, tables.users.c.locked_until)
    .where(tables.users.c.id == bindparam("of"))
    .with_for_update()
)
_WRITE_ATTEMPTS = Statement(
    update(tables.users)
    .where(tables.users.c.id == bindparam("of"))
    .values(failed_attempts=bindparam("failed"), locked_until=bindparam("until"))
)
_A = tables.login_addresses.c
_ADD_ADDRESS = Statement(insert(tables.login_addresses))
_READ_ADDRESS = Statement(select(_A.free_at).where(_A.address == bindparam("of")).with_for_update())
_MOVE_ADDRESS = Statement(
    update(tables.login_addresses)
    .where(_A.address == bindparam("of"))
    .values(free_at=bindparam("to"))
)
_USER = tuple(column.name for column in tables.users.c)
_FIND_TOKEN = Statement(
    select(tables.api_tokens).where(tables.api_tokens.c.digest == bindparam("of"))
)


_SORTING = Sorting(
    tables.users.c.name,
    name=tables.users.c.name,
    display_name=tables.users.c.display_name,
    created=tables.users.c.created_at,
)


def with_owner(table: Table) -> Statement:
    """Make the statement that finds the row with the digest `of`, and whose it is."""
    return Statement(select_with_owner(table).where(table.c.digest == bindparam("of")))


def select_with_owner(table: Table) -> Select[Any]:
    """Select rows, and whose each is."""
    users = tables.users
    owner = (column.label(f"owner_{column.name}") for column in users.c)
    joined = table.outerjoin(users, users.c.id == table.c.user_id)
    return select(table, *owner).select_from(joined)


def split_owner(row: Any) -> tuple[dict[str, Any], User | None]:
    """Return the fields of a row that `with_owner` found, and whose it is, if anybody's."""
    names, own = row._fields, len(row) - len(_USER)
    fields = dict(zip(names[:own], row[:own], strict=True))
    owner = dict(zip(_USER, row[own:], strict=True))
    return fields, None if owner["id"] is None else _user(owner)


class SQLUserStore:
    """`authn.store.UserStore` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, user: User) -> None:
        _insert(
            self._database,
            tables.users,
            {**asdict(user), "failed_attempts": 0, "locked_until": None},
            taken=f"there is a user {user.name!r} already",
        )

    def find(self, user_id: str) -> User | None:
        row = self._database.run(_FIND, {"of": user_id}).first()
        return None if row is None else _user(row._asdict())

    def find_by_name(self, name: str) -> User | None:
        row = self._database.run(_FIND_NAMED, {"of": name}).first()
        return None if row is None else _user(row._asdict())

    def list_users(
        self,
        *,
        text: str = "",
        after: str = "",
        limit: int | None = None,
        sort: str | None = None,
    ) -> Sequence[User]:
        columns = tables.users.c
        query = _SORTING.page(select(tables.users), sort or "name", after or None).limit(limit)
        if text:
            named = (columns.name, columns.display_name)
            query = query.where(
                or_(*(func.lower(one).contains(text.lower(), autoescape=True) for one in named))
            )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return [_user(_fields(row)) for row in rows]

    def set_password(self, user_id: str, password_hash: str) -> None:
        self._update(user_id, password_hash=password_hash, failed_attempts=0, locked_until=None)

    def set_disabled(self, user_id: str, disabled: bool) -> None:
        self._update(user_id, disabled=disabled)

    def set_role(self, user_id: str, role: Role | None) -> None:
        self._update(user_id, role=role)

    def set_factor_due(self, user_id: str, due: bool) -> None:
        self._update(user_id, factor_due=due)

    def set_contact(
        self, user_id: str, *, email: str | None, phone: str | None, address: str | None
    ) -> None:
        self._update(user_id, email=email, phone=phone, address=address)

    def forgive_attempts(self, user_id: str) -> None:
        self._database.send(_WRITE_ATTEMPTS, {"of": user_id, "failed": 0, "until": None})

    def _update(self, user_id: str, **values: Any) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                update(tables.users).where(tables.users.c.id == user_id).values(**values)
            )

    def charge_attempt(
        self, user_id: str, now: datetime, *, limit: int, locked_until: datetime
    ) -> bool:
        with self._database.transaction():
            (row,) = self._database.run(_READ_ATTEMPTS, {"of": user_id}).rows
            if row.locked_until is not None and now < row.locked_until:
                return False
            # A lock that has run out starts a new count.
            attempts = 1 if row.locked_until is not None else row.failed_attempts + 1
            until = locked_until if attempts >= limit else None
            counted = {"of": user_id, "failed": attempts, "until": until}
            self._database.send(_WRITE_ATTEMPTS, counted)
        return True

    def put_setup_link(self, digest: bytes, user_id: str, expires_at: datetime) -> None:
        links = tables.setup_links
        with self._database.transaction() as connection:
            connection.execute(delete(links).where(links.c.user_id == user_id))
            connection.execute(
                insert(links).values(digest=digest, user_id=user_id, expires_at=expires_at)
            )

    def find_setup_link(self, digest: bytes, now: datetime) -> str | None:
        links = tables.setup_links
        with self._database.reading() as connection:
            row = connection.execute(
                select(links.c.user_id).where(_usable(links, now), links.c.digest == digest)
            ).first()
        return None if row is None else str(row.user_id)

    def use_setup_link(self, digest: bytes, now: datetime) -> bool:
        links = tables.setup_links
        with self._database.transaction() as connection:
            changed = connection.execute(
                update(links)
                .where(_usable(links, now), links.c.digest == digest)
                .values(used_at=now)
            )
        return changed.rowcount == 1


class SQLAddressStore:
    """`authn.store.AddressStore` as a generic cell rate (GCRA): one time per address."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def charge(self, address: str, now: datetime, *, burst: int, seconds: int) -> int:
        step = timedelta(seconds=seconds)
        with self._database.transaction() as connection:
            row = self._database.run(_READ_ADDRESS, {"of": address}).first()
            if row is None:
                try:
                    with connection.begin_nested():
                        new = {"address": address, "free_at": now + step}
                        self._database.run(_ADD_ADDRESS, new)
                except IntegrityError:  # another thread was first; its row is there now
                    (row,) = self._database.run(_READ_ADDRESS, {"of": address}).rows
                else:
                    return 0
            free_at: datetime = max(row.free_at, now) + step
            wait = int((free_at - now - burst * step).total_seconds())
            if wait > 0:
                return wait
            self._database.send(_MOVE_ADDRESS, {"of": address, "to": free_at})
        return 0

    def refund(self, address: str, *, seconds: int) -> None:
        with self._database.transaction():
            row = self._database.run(_READ_ADDRESS, {"of": address}).first()
            if row is not None:
                back = row.free_at - timedelta(seconds=seconds)
                self._database.send(_MOVE_ADDRESS, {"of": address, "to": back})


class SQLAPITokenStore:
    """`authn.store.APITokenStore` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._owned = Remembered(
            self._read_owned, lambda: database.version(tables.api_tokens, tables.users)
        )

    def add(self, token: APIToken) -> None:
        _insert(self._database, tables.api_tokens, asdict(token), taken="drawn twice")

    def find_with_owner(self, digest: bytes) -> tuple[APIToken, User] | None:
        return self._owned.get(digest)

    def recall_with_owner(self, digest: bytes) -> tuple[APIToken, User] | None:
        return self._owned.recall(digest)

    def _read_owned(self, digest: bytes) -> tuple[APIToken, User] | None:
        row = self._database.run(_FIND_TOKEN, {"of": digest}).first()
        if row is None:
            return None
        token = APIToken(**row._asdict())
        user = SQLUserStore(self._database).find(token.user_id)
        return None if user is None else (token, user)

    def list_of_user(self, user_id: str) -> Sequence[APIToken]:
        tokens = tables.api_tokens
        with self._database.reading() as connection:
            rows = connection.execute(
                select(tokens).where(tokens.c.user_id == user_id).order_by(tokens.c.created_at)
            ).all()
        return [APIToken(**_fields(row)) for row in rows]

    def remove(self, token_id: str, user_id: str) -> bool:
        tokens = tables.api_tokens
        condition = (tokens.c.id == token_id) & (tokens.c.user_id == user_id)
        return _delete(self._database, tokens, condition) == 1

    def remove_of_user(self, user_id: str) -> None:
        _delete(self._database, tables.api_tokens, tables.api_tokens.c.user_id == user_id)


class SQLCertificateLoginStore:
    """`authn.store.CertificateLoginStore` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_challenge(self, challenge: Challenge) -> None:
        _insert(self._database, tables.login_challenges, asdict(challenge), taken="drawn twice")

    def use_challenge(self, nonce: str, browser: bytes, now: datetime) -> bool:
        rows = tables.login_challenges
        with self._database.transaction() as connection:
            changed = connection.execute(
                update(rows)
                .where(_usable(rows, now), rows.c.nonce == nonce, rows.c.browser == browser)
                .values(used_at=now)
            )
        return changed.rowcount == 1

    def add_binding(self, binding: Binding) -> None:
        _insert(
            self._database,
            tables.certificate_bindings,
            asdict(binding),
            taken="this certificate subject is bound to a user already",
        )

    def find_binding(self, issuer: str, subject_digest: bytes) -> Binding | None:
        rows = tables.certificate_bindings
        with self._database.reading() as connection:
            row = connection.execute(
                select(rows).where(rows.c.issuer == issuer, rows.c.subject_digest == subject_digest)
            ).first()
        return None if row is None else Binding(**_fields(row))

    def list_bindings(self) -> Sequence[Binding]:
        rows = tables.certificate_bindings
        with self._database.reading() as connection:
            found = connection.execute(select(rows).order_by(rows.c.created_at)).all()
        return [Binding(**_fields(row)) for row in found]

    def list_bindings_of(self, user_id: str) -> Sequence[Binding]:
        rows = tables.certificate_bindings
        statement = select(rows).where(rows.c.user_id == user_id).order_by(rows.c.created_at)
        with self._database.reading() as connection:
            return [Binding(**_fields(row)) for row in connection.execute(statement)]

    def has_binding(self, user_id: str) -> bool:
        condition = tables.certificate_bindings.c.user_id == user_id
        with self._database.reading() as connection:
            return bool(connection.execute(select(exists().where(condition))).scalar())

    def remove_binding(self, binding_id: str) -> bool:
        rows = tables.certificate_bindings
        return _delete(self._database, rows, rows.c.id == binding_id) == 1


def _usable(table: Table, now: datetime) -> Any:
    return table.c.used_at.is_(None) & (table.c.expires_at > now)


def _user(fields: dict[str, Any]) -> User:
    del fields["failed_attempts"], fields["locked_until"]
    role = fields.pop("role")
    return User(**fields, role=None if role is None else Role(role))


def _fields(row: Any) -> dict[str, Any]:
    return dict(row._mapping)  # noqa: SLF001 - its public name in SQLAlchemy


def _insert(database: Database, table: Table, values: dict[str, Any], *, taken: str) -> None:
    try:
        with database.transaction() as connection, connection.begin_nested():
            connection.execute(insert(table).values(**values))
    except IntegrityError as error:
        raise Conflict(taken) from error


def _delete(database: Database, table: Table, condition: Any) -> int:
    with database.transaction() as connection:
        return connection.execute(delete(table).where(condition)).rowcount
