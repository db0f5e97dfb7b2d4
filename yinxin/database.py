"""Opening the database: the owner of the tables migrates, another role may serve."""

from __future__ import annotations

import logging
from contextlib import closing
from typing import Final

from sqlalchemy import make_url

from core.audit_sql import SQLAuditLog
from core.clock import Clock
from core.db import Database, open_database
from yinxin.schema import grant, upgrade
from yinxin.settings import Settings
from yinxin.state import State

log = logging.getLogger(__name__)

CONNECTIONS: Final = 66
"""So many a process opens at most: for transactions (`core.postgresql`), for single statements
(`core.lines`), and for requests in the event loop (`core.pipe`)."""


def prepare_database(settings: Settings, state: State, *, clock: Clock) -> None:
    """Bring the database to this release's tables, as their owner.

    Where the service uses another role, that role is given what it needs (`yinxin.schema.grant`).
    Raises `Misconfigured`.
    """
    url = settings.database.url or state.database_url
    owner_url = settings.database.owner_url or url
    with closing(open_database(owner_url)) as database:
        upgrade(database)
        SQLAuditLog(database, clock=clock).initialise()
        role = make_url(url).username
        if role is not None and role != make_url(owner_url).username:
            grant(database, role)


def warn_of_few_connections(database: Database, *, processes: int) -> None:
    """Say so in the log if PostgreSQL allows fewer connections than `processes` may open.

    Who is refused one is told to try again later, and only under load.
    """
    if database.engine.dialect.name != "postgresql":
        return
    with database.reading() as connection:
        allowed = int(connection.exec_driver_sql("SHOW max_connections").scalar_one())
    if allowed < processes * CONNECTIONS:
        log.warning(
            "PostgreSQL allows fewer connections (max_connections) than may be opened",
            extra={"allowed": allowed, "opened": processes * CONNECTIONS},
        )


def open_prepared(settings: Settings, state: State, *, clock: Clock) -> Database:
    """Open the database for the service, migrated where it may be. Raises `Misconfigured`."""
    if settings.database.owner_url is not None:
        prepare_database(settings, state, clock=clock)
    database = open_database(settings.database.url or state.database_url)
    upgrade(database)
    return database
