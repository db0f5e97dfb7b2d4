"""Bringing the database to this release's tables, and refusing one from a newer release."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect
from sqlalchemy.exc import ProgrammingError

import authn.legacy.tables
import authn.logout.tables
import authn.oidc.tables
import authn.oidc.tables_keys
import authn.tables
import authn.tables_accounts
import authn.tables_factors
import authn.tables_sessions
import authn.upstream.tables
import ca.tables
import ca.tables_bulk
import ca.tables_counts
import ca.tables_massrevocation
import ca.tables_notices
import ca.tables_organisations
import ca.tables_pickup
import ca.tables_profiles
import ca.tables_registrars
import ca.tables_status
import ca.tables_subjects
import core.audit_tables
import core.control_tables
import core.jobs
import core.versions
import crl.tables
import crl.tables_publication
import keystore.escrow.tables
from core.db import Database
from core.errors import Misconfigured

DECLARED_IN = (
    core.audit_tables,
    core.control_tables,
    core.jobs,
    core.versions,
    keystore.escrow.tables,
    ca.tables,
    ca.tables_massrevocation,
    ca.tables_profiles,
    ca.tables_bulk,
    ca.tables_counts,
    ca.tables_notices,
    ca.tables_pickup,
    ca.tables_organisations,
    ca.tables_registrars,
    ca.tables_status,
    ca.tables_subjects,
    crl.tables,
    crl.tables_publication,
    authn.tables,
    authn.tables_accounts,
    authn.tables_factors,
    authn.oidc.tables,
    authn.tables_sessions,
    authn.upstream.tables,
    authn.logout.tables,
    authn.legacy.tables,
    authn.oidc.tables_keys,
)
"""Every module with tables: importing them is what puts these into `core.db.metadata`."""

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_ROLE: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")


def upgrade(database: Database) -> None:
    """Run the migrations that are missing, in one transaction.

    Raises `Misconfigured` when the database was written by a newer release: going on could
    destroy what that release knows and this one does not. Also when this role may not migrate.
    """
    try:
        with database.transaction() as connection:
            if connection.dialect.name == "postgresql":
                # Two nodes that start together: the second waits, and finds nothing to do.
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7909234812)")
            present = _present(connection)
            if present == revisions()[-1]:
                return
            if present is not None and present not in revisions():
                raise Misconfigured(
                    f"this state was written by a newer release (schema {present}); "
                    "start that release, or restore a backup made by this one"
                )
            _migrate(connection)
    except ProgrammingError as error:
        raise Misconfigured(
            "the role of database.url may not change the tables: run `yinxin database upgrade` "
            "as their owner (database.owner_url)"
        ) from error


def revisions() -> list[str]:
    """Return the one history, the oldest first: the numbers that its files begin with."""
    return sorted(file.name[:4] for file in (_MIGRATIONS / "versions").glob("[0-9]*.py"))


def _present(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    present = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return None if present is None else str(present)


def _migrate(connection: Connection) -> None:
    # Alembic takes a third of a second to import, and nearly every start finds nothing to do.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def grant(database: Database, role: str) -> None:
    """Let a role use the tables, and only add to the audit chain. Raises `Misconfigured`."""
    with database.transaction() as connection:
        for statement in grants(role):
            connection.exec_driver_sql(statement)


def grants(role: str) -> tuple[str, ...]:
    """Return the statements of `grant` (PostgreSQL), for whoever keeps the database."""
    if _ROLE.fullmatch(role) is None:
        raise Misconfigured(f"{role!r} is not the name of a role: a-z, 0-9 and _, at most 63")
    return (
        f'GRANT USAGE ON SCHEMA public TO "{role}"',
        f'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO "{role}"',
        f'GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO "{role}"',
        f'REVOKE UPDATE, DELETE ON audit_events, audit_checkpoints FROM "{role}"',
        f'REVOKE INSERT, DELETE ON audit_head FROM "{role}"',
        f'REVOKE UPDATE, DELETE ON status_log FROM "{role}"',
        f'REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM "{role}"',
    )
