"""Errors of the database, in words of ours and without the values of rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from core.errors import Unavailable


@contextmanager
def translated() -> Iterator[None]:
    """Raise `Unavailable` for what another try, later, may get past; all else as it is."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError, psycopg.OperationalError) as error:
        raise Unavailable("the database cannot be used at the moment; try again later") from error
    except DBAPIError as error:
        # A connection lost in the middle of a statement can come as any of them.
        if error.connection_invalidated:
            raise Unavailable("the database was lost; try again later") from error
        raise


def translate(error: Exception) -> Exception:
    """Return what `translated` would raise for an error, without raising it."""
    try:
        with translated():
            raise error  # noqa: TRY301 - it is the error that was given
    except Exception as ours:  # noqa: BLE001 - returned
        return ours


def hide_values(context: ExceptionContext) -> None:
    """Leave PostgreSQL's DETAIL out of its errors: it quotes the row, and errors reach logs."""
    original, ours = context.original_exception, context.sqlalchemy_exception
    if not isinstance(original, psycopg.Error) or original.diag.message_primary is None:
        return
    said, brief = str(original), original.diag.message_primary
    original.args = (brief,)
    if ours is not None:
        ours.args = tuple(str(one).replace(said, brief) for one in ours.args)
