"""Devices that wait for a person, in the database."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, bindparam, delete, insert, select, update

from authn.oidc.device import DeviceCode, DeviceState
from authn.oidc.sqlstore import grant_columns, take_grant
from authn.oidc.tables import device_codes
from authn.sqlsessions import hold_session
from core.db import Database
from core.statements import Statement
from core.steps import Statements

_D = device_codes.c
_REMOVE = Statement(delete(device_codes).where(_D.digest == bindparam("of")))


class SQLDeviceCodeStore:
    """`authn.oidc.device.DeviceCodeStore` in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_device(self, code: DeviceCode) -> None:
        values = {
            **grant_columns(code.grant),
            "digest": code.digest,
            "user_code": code.user_code,
            "state": code.state,
            "polled_at": code.polled_at,
            "expires_at": code.expires_at,
        }
        with self._database.transaction() as connection:
            connection.execute(insert(device_codes).values(**values))

    def find_device(self, digest: bytes) -> DeviceCode | None:
        return self._one(_D.digest == digest)

    def find_by_user_code(self, user_code: bytes) -> DeviceCode | None:
        return self._one(_D.user_code == user_code)

    def _one(self, condition: ColumnElement[bool]) -> DeviceCode | None:
        with self._database.reading() as connection:
            row = connection.execute(select(device_codes).where(condition)).first()
        if row is None:
            return None
        fields = take_grant(row._asdict())
        del fields["confirmation"]
        return DeviceCode(**fields | {"state": DeviceState(fields["state"])})

    def decide_device(self, code: DeviceCode) -> bool:
        with self._database.transaction() as connection:
            if code.grant.sid is not None and not hold_session(connection, code.grant.sid):
                return False
            changed = connection.execute(
                update(device_codes)
                .where(_D.digest == code.digest, _D.state == DeviceState.PENDING)
                .values(**grant_columns(code.grant), state=code.state)
            )
        return changed.rowcount == 1

    def poll_device(self, digest: bytes, now: datetime) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                update(device_codes).where(_D.digest == digest).values(polled_at=now)
            )

    def to_remove_device(self, digest: bytes) -> Statements:
        return [(_REMOVE, {"of": digest})]
