"""How PostgreSQL is opened: its pool, and what of SQLAlchemy's goes through `core.lines`."""

from __future__ import annotations

import time
from typing import Any, Final

import psycopg
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from core.db_errors import hide_values
from core.lines import line_of

_IDLE_SECONDS = 1.0
"""A connection that was used less long ago is taken to be alive."""


_NOTICED: Final = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""A host that is gone without a word (power, a firewall) is noticed within a minute; by Linux alone
in two hours. Seconds, but for the last one: milliseconds."""
_NOTICES: Final = (
    "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3; "
    "SET idle_in_transaction_session_timeout = '60s'"
)
"""PostgreSQL notices the same of us: a node that is gone keeps what it had locked until then, and
every other one waits for the head of the audit log. So it does for a process that is stopped, or
swapped out, between two statements; the longest that we compute there, the lines of a million
certificates, takes seconds (decision 0243)."""


def open_postgresql(url: URL) -> Engine:
    """Open a pool of connections to `url`, whose own parameters count."""
    noticed = {name: value for name, value in _NOTICED.items() if name not in url.query}
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        # Whatever a database prefers: `core.libpq` writes and reads octets itself.
        connect_args={"client_encoding": "utf8", **noticed},
        pool_size=20,
        max_overflow=20,
        hide_parameters=True,  # values must not reach a log through an error
    )
    event.listen(engine, "connect", _have_it_notice)
    _ping_after_a_pause(engine)
    engine.dialect.do_commit = _commit  # type: ignore[assignment, method-assign]
    engine.dialect.do_rollback = _rollback  # type: ignore[assignment, method-assign]
    engine.dialect.do_rollback_to_savepoint = _rollback_to  # type: ignore[method-assign]
    event.listen(engine, "before_cursor_execute", _send_what_waits)
    event.listen(engine, "handle_error", hide_values)
    return engine


def _have_it_notice(connection: Any, _record: ConnectionPoolEntry) -> None:
    connection.autocommit = True
    connection.execute(_NOTICES)
    connection.autocommit = False


def _commit(connection: PoolProxiedConnection) -> None:
    line_of(connection).commit()


def _rollback(connection: PoolProxiedConnection) -> None:
    line_of(connection).rollback()


def _rollback_to(connection: Connection, name: str) -> None:
    """Undo to a savepoint without psycopg, which would forget what is prepared (DEALLOCATE ALL)."""
    point = connection.dialect.identifier_preparer.quote(name)
    line_of(connection.connection).undo_to(point)


def _send_what_waits(connection: Connection, *_: object) -> None:
    """Keep the order of statements when SQLAlchemy runs the next one."""
    line_of(connection.connection).flush()


def _ping_after_a_pause(engine: Engine) -> None:
    """Try a connection that was idle before it is used, so that a server's restart is not noticed.

    SQLAlchemy's own `pool_pre_ping` asks each time: under load, five round trips a certificate.
    """

    @event.listens_for(engine, "checkin")
    def remember(_connection: object, record: ConnectionPoolEntry) -> None:
        record.info["idle_since"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def ping(connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
        since = record.info.get("idle_since")
        if since is None or time.monotonic() - since < _IDLE_SECONDS:
            return
        try:
            connection.autocommit = True
            connection.execute("")
            connection.autocommit = False
        except psycopg.Error as error:
            raise DisconnectionError from error
