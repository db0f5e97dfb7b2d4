"""Transactions in which a failed statement was caught without a savepoint: never committed.

PostgreSQL undoes such a transaction at COMMIT and says so to nobody; SQLite keeps what the other
statements wrote. Both are wrong: who catches an error of the database inside of a transaction
opens a savepoint around it (`Connection.begin_nested`), or does not catch it.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext

from core.lines import line_of

_FAILED: Final = "yinxin.failed"
_BEFORE: Final = "yinxin.failed before"
"""The same at the beginning of each open savepoint."""


class Spoilt(RuntimeError):
    """A statement failed, and the transaction was to be committed nevertheless: it is undone.

    A fault of the code, and not of what was asked.
    """

    def __init__(self) -> None:
        super().__init__(
            "a statement of this transaction failed and was caught without a savepoint: "
            "nothing of the transaction is kept"
        )


def watch(engine: Engine) -> None:
    """Remember, for each connection of SQLite, whether its transaction is spoilt."""
    if engine.dialect.name == "postgresql":
        return  # it knows itself

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.info[_FAILED], connection.info[_BEFORE] = False, []

    @event.listens_for(engine, "handle_error")
    def note(context: ExceptionContext) -> None:
        connection = context.connection
        if connection is not None and not (connection.closed or connection.invalidated):
            connection.info[_FAILED] = True

    @event.listens_for(engine, "savepoint")
    def begin_nested(connection: Connection, _name: object) -> None:
        connection.info[_BEFORE].append(connection.info[_FAILED])

    @event.listens_for(engine, "rollback_savepoint")
    def undo_nested(connection: Connection, _name: object, _context: object) -> None:
        connection.info[_FAILED] = connection.info[_BEFORE].pop()

    @event.listens_for(engine, "release_savepoint")
    def end_nested(connection: Connection, _name: object, _context: object) -> None:
        connection.info[_BEFORE].pop()


def require_whole(connection: Connection) -> None:
    """Raises `Spoilt`; called before each COMMIT."""
    if connection.dialect.name == "postgresql":
        spoilt = line_of(connection.connection).failed
    else:
        spoilt = connection.info.get(_FAILED, False)
    if spoilt:
        raise Spoilt
