"""`ca.pickup.PickupStore` in SQL."""

from __future__ import annotations

from sqlalchemy import delete, insert, select
from sqlalchemy import update as sql_update
from sqlalchemy.exc import IntegrityError

from ca.pickup import Pickup
from ca.tables_pickup import pickups
from core.db import Database
from core.errors import Conflict

_P = pickups.c


class SQLPickupStore:
    """Digests of codes on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put_pickup(self, pickup: Pickup) -> None:
        try:
            with self._database.transaction() as connection, connection.begin_nested():
                connection.execute(delete(pickups).where(_P.request_id == pickup.request_id))
                connection.execute(
                    insert(pickups).values(
                        request_id=pickup.request_id,
                        reference_digest=pickup.reference_digest,
                        code_digest=pickup.code_digest,
                        created_at=pickup.created_at,
                        expires_at=pickup.expires_at,
                        failures=pickup.failures,
                    )
                )
        except IntegrityError as error:
            raise Conflict("the codes could not be made at this moment: try again") from error

    def lock_pickup(self, reference_digest: bytes) -> Pickup | None:
        query = select(pickups).where(_P.reference_digest == reference_digest).with_for_update()
        with self._database.transaction() as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        return Pickup(
            request_id=row.request_id,
            reference_digest=bytes(row.reference_digest),
            code_digest=bytes(row.code_digest),
            created_at=row.created_at,
            expires_at=row.expires_at,
            failures=row.failures,
        )

    def count_failure(self, request_id: str) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                sql_update(pickups)
                .where(_P.request_id == request_id)
                .values(failures=_P.failures + 1)
            )
