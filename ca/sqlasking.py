"""`ca.asking.AskingStore` in SQL, on the tables of bulk requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import ColumnElement, bindparam, exists, select, update

from ca.bulk import BatchState, ItemState
from ca.tables_bulk import bulk_batches, bulk_items
from core.db import Database

_B = bulk_batches.c
_I = bulk_items.c
_ANSWER: Final = (
    update(bulk_items)
    .where(_I.request_id == bindparam("of_row"), _I.state == ItemState.ASKING)
    .values(state=bindparam("to_state"), reason=bindparam("to_reason"))
)


def _waits() -> ColumnElement[bool]:
    asking = exists().where(_I.batch_id == _B.id, _I.state == ItemState.ASKING)
    return (_B.state == BatchState.CHECKING) & asking


class SQLAskingStore:
    """Rows that wait for the certificate authority's word."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list_asking(self, *, limit: int) -> Sequence[tuple[str, str]]:
        oldest = select(_B.id).where(_waits()).order_by(_B.number).limit(1)
        rows = (
            select(_I.request_id, _I.content)
            .where(_I.batch_id == oldest.scalar_subquery(), _I.state == ItemState.ASKING)
            .order_by(_I.row)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [(row.request_id, row.content) for row in connection.execute(rows)]

    def answer(self, reasons: Mapping[str, str | None]) -> int:
        moved = 0
        with self._database.transaction() as connection:
            for name, reason in reasons.items():
                state = ItemState.VALID if reason is None else ItemState.BAD
                values = {"of_row": name, "to_state": state, "to_reason": reason}
                moved += connection.execute(_ANSWER, values).rowcount
        return moved

    def say(self, comment: str) -> None:
        with self._database.transaction() as connection:
            connection.execute(update(bulk_batches).where(_waits()).values(comment=comment))
