"""Second factors in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    bindparam,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from authn.factors_store import TOTPFactor
from authn.tables_factors import (
    factor_attempts,
    passkeys,
    password_history,
    recovery_codes,
    sealed_keys,
    totp_factors,
)
from core.db import Database
from core.errors import Conflict
from core.statements import Statement

_A, _T, _R, _H = factor_attempts.c, totp_factors.c, recovery_codes.c, password_history.c
_HAS_SECOND = Statement(
    select(
        or_(
            exists().where(_T.user_id == bindparam("of"), _T.confirmed_at.is_not(None)),
            exists().where(passkeys.c.user_id == bindparam("of")),
        ).label("has")
    )
)


class SQLAttemptStore:
    """`authn.factors_store.AttemptStore` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def charge(
        self, user_id: str, factor: str, now: datetime, *, limit: int, locked_until: datetime
    ) -> datetime | None:
        mine = (_A.user_id == user_id) & (_A.factor == factor)
        query = select(_A.failed, _A.locked_until).where(mine).with_for_update()
        with self._database.transaction() as connection:
            row = connection.execute(query).first()
            if row is None:
                try:
                    with connection.begin_nested():
                        connection.execute(
                            insert(factor_attempts).values(
                                user_id=user_id, factor=factor, failed=1, locked_until=None
                            )
                        )
                except IntegrityError:  # another thread was first; its row is there now
                    row = connection.execute(query).one()
                else:
                    return None
            locked: datetime | None = row.locked_until
            if locked is not None and now < locked:
                return locked
            failed = 1 if locked is not None else row.failed + 1
            lock = locked_until if failed >= limit else None
            connection.execute(
                update(factor_attempts).where(mine).values(failed=failed, locked_until=lock)
            )
        return None

    def forgive(self, user_id: str, factor: str) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                delete(factor_attempts).where(_A.user_id == user_id, _A.factor == factor)
            )


class SQLFactorStore:
    """`authn.factors_store.FactorStore` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def offer_totp(self, factor: TOTPFactor) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                delete(totp_factors).where(_T.user_id == factor.user_id, _T.confirmed_at.is_(None))
            )
            try:
                with connection.begin_nested():
                    connection.execute(insert(totp_factors).values(**asdict(factor)))
            except IntegrityError as error:
                raise Conflict("there is a generator of one-time passwords already") from error

    def find_totp(self, user_id: str) -> TOTPFactor | None:
        with self._database.reading() as connection:
            row = connection.execute(select(totp_factors).where(_T.user_id == user_id)).first()
        return None if row is None else TOTPFactor(**row._asdict())

    def use_totp(self, user_id: str, step: int, now: datetime) -> bool:
        with self._database.transaction() as connection:
            changed = connection.execute(
                update(totp_factors)
                .where(_T.user_id == user_id, _T.last_step < step)
                .values(last_step=step, confirmed_at=func.coalesce(_T.confirmed_at, now))
            )
        return changed.rowcount == 1

    def remove_totp(self, user_id: str) -> bool:
        with self._database.transaction() as connection:
            gone = connection.execute(delete(totp_factors).where(_T.user_id == user_id))
        return gone.rowcount == 1

    def replace_recovery_codes(self, user_id: str, digests: Sequence[bytes]) -> None:
        with self._database.transaction() as connection:
            connection.execute(delete(recovery_codes).where(_R.user_id == user_id))
            if digests:
                rows = [{"digest": one, "user_id": user_id} for one in digests]
                connection.execute(insert(recovery_codes), rows)

    def use_recovery_code(self, user_id: str, digest: bytes, now: datetime) -> bool:
        with self._database.transaction() as connection:
            changed = connection.execute(
                update(recovery_codes)
                .where(_R.user_id == user_id, _R.digest == digest, _R.used_at.is_(None))
                .values(used_at=now)
            )
        return changed.rowcount == 1

    def count_recovery_codes(self, user_id: str) -> int:
        statement = select(func.count()).where(_R.user_id == user_id, _R.used_at.is_(None))
        with self._database.reading() as connection:
            return connection.execute(statement).scalar_one()

    def has_second_factor(self, user_id: str) -> bool:
        (row,) = self._database.run(_HAS_SECOND, {"of": user_id}).rows
        return bool(row.has)


class SQLSealedKeyStore:
    """`keystore.sealedkey.SealedKeyStore` in the database, under one name."""

    def __init__(self, database: Database, name: str) -> None:
        self._database = database
        self._name = name

    def find_sealed_key(self) -> bytes | None:
        statement = select(sealed_keys.c.sealed).where(sealed_keys.c.name == self._name)
        with self._database.reading() as connection:
            found = connection.execute(statement).scalar()
        return None if found is None else bytes(found)

    def keep_sealed_key(self, sealed: bytes) -> bytes:
        try:
            with self._database.transaction() as connection, connection.begin_nested():
                connection.execute(insert(sealed_keys).values(name=self._name, sealed=sealed))
        except IntegrityError:
            found = self.find_sealed_key()
            if found is None:
                raise
            return found
        return sealed


class SQLPasswordHistory:
    """`authn.passwordpolicy.PasswordHistory` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, row_id: str, user_id: str, password_hash: str, set_at: datetime) -> None:
        values = {
            "id": row_id,
            "user_id": user_id,
            "password_hash": password_hash,
            "set_at": set_at,
        }
        with self._database.transaction() as connection:
            connection.execute(insert(password_history).values(**values))

    def newest(self, user_id: str, limit: int) -> Sequence[str]:
        with self._database.reading() as connection:
            found = connection.execute(_newest(user_id, _H.password_hash).limit(limit))
            return [str(one) for one in found.scalars()]

    def last_set_at(self, user_id: str) -> datetime | None:
        with self._database.reading() as connection:
            return connection.execute(_newest(user_id, _H.set_at).limit(1)).scalar()

    def forget_older(self, user_id: str, keep: int) -> None:
        with self._database.transaction() as connection:
            kept = connection.execute(_newest(user_id, _H.id).limit(keep)).scalars().all()
            connection.execute(
                delete(password_history).where(_H.user_id == user_id, _H.id.not_in(kept))
            )


def _newest(user_id: str, column: ColumnElement[Any]) -> Select[Any]:
    return select(column).where(_H.user_id == user_id).order_by(_H.set_at.desc(), _H.id)
