"""Bringing the database to this release's tables, and refusing one from a newer release."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import authn.tables
import ca.tables
import ca.tables_bulk
import ca.tables_notices
import ca.tables_organisations
import ca.tables_subjects
import core.audit_sql
import core.control_tables
import core.jobs
import crl.tables
import keystore.escrow.tables
from core.db import Database
from core.errors import Misconfigured

DECLARED_IN = (
    core.audit_sql,
    core.control_tables,
    core.jobs,
    keystore.escrow.tables,
    ca.tables,
    ca.tables_bulk,
    ca.tables_notices,
    ca.tables_organisations,
    ca.tables_subjects,
    crl.tables,
    authn.tables,
)
"""Every module with tables: importing them is what puts these into `core.db.metadata`."""


def migration_config() -> Config:
    """Return Alembic's configuration; there is no ini file."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def upgrade(database: Database) -> None:
    """Run the migrations that are missing, in one transaction.

    Raises `Misconfigured` when the database was written by a newer release: going on could
    destroy what that release knows and this one does not.
    """
    config = migration_config()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    with database.transaction() as connection:
        if connection.dialect.name == "postgresql":
            # Two nodes that start together: the second waits here, and finds nothing to do.
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7909234812)")
        present = MigrationContext.configure(connection).get_current_revision()
        if present is not None and present not in known:
            raise Misconfigured(
                f"this state was written by a newer release (schema {present}); "
                "start that release, or restore a backup made by this one"
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
