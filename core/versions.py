"""Numbers that change with the contents of a table, in the same transaction, whoever writes.

For what every node keeps in memory (`core.remembered`): one small look tells whether all of it
still stands. Triggers count, so that no writer forgets to. Not a sequence of the database: that
moves before the commit, and who looks between would take the old rows for the new.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Column, Connection, MetaData, String, Table, bindparam, event, select, text

from core.db import Database, Sequence64, metadata
from core.statements import Statement

table_versions = Table(
    "table_versions",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("version", Sequence64, nullable=False),
)
_READ = Statement(select(table_versions.c.version).where(table_versions.c.name == bindparam("of")))
_OCCASIONS: Final = ("insert", "update", "delete")
_counted: Final[list[Table]] = []


def count_versions(table: Table) -> None:
    """Have the versions of a table counted. A migration has to do the same where it exists."""
    _counted.append(table)


def read_version(database: Database, table: Table) -> int | None:
    """Return a number that was another one before each commit to the table; None: not counted."""
    row = database.run(_READ, {"of": table.name}).first()
    return None if row is None else int(row.version)


def triggers(table: str, dialect: str) -> tuple[str, ...]:
    """Return the statements that have the versions of a table counted from now on."""
    count = f"UPDATE table_versions SET version = version + 1 WHERE name = '{table}';"  # noqa: S608 - our names
    if dialect == "sqlite":
        return tuple(
            f"CREATE TRIGGER {table}_{occasion}_version AFTER {occasion.upper()} ON {table} "
            f"BEGIN {count} END"
            for occasion in _OCCASIONS
        )
    return (
        (
            f"CREATE FUNCTION {table}_version() RETURNS trigger LANGUAGE plpgsql "
            f"AS $$ BEGIN {count} RETURN NULL; END $$"
        ),
        (
            # At the commit, behind all that the transaction locks, and only for rows that changed:
            # who counts holds up every other writer, and must wait for none of them.
            f"CREATE CONSTRAINT TRIGGER {table}_version "
            f"AFTER INSERT OR UPDATE OR DELETE ON {table} DEFERRABLE INITIALLY DEFERRED "
            f"FOR EACH ROW EXECUTE FUNCTION {table}_version()"
        ),
    )


@event.listens_for(metadata, "after_create")
def _count(
    _metadata: MetaData, connection: Connection, *, tables: Sequence[Table] = (), **_: Any
) -> None:
    for table in _counted:
        if table in tables:
            connection.execute(table_versions.insert().values(name=table.name, version=1))
            for statement in triggers(table.name, connection.dialect.name):
                connection.execute(text(statement))
