"""Counts of certificates that are kept, and the triggers that note every change of them.

A change is a row and not a sum, so that certificates issued at the same time do not wait for one
another; `ca.sqlcounts` adds the changes up (docs/decisions/0234).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Integer,
    MetaData,
    String,
    Table,
    event,
    text,
)

from ca import tables as _certificates  # noqa: F401 - the triggers are on its table
from core.db import Sequence64, UTCDateTime, metadata

certificate_count_changes = Table(
    "certificate_count_changes",
    metadata,
    Column("number", Sequence64, primary_key=True, autoincrement=True),
    Column("organisation_id", String(32), nullable=True),
    Column("profile", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("issued_at", UTCDateTime, nullable=True),
    Column("revoked_at", UTCDateTime, nullable=True),
    Column("not_after", UTCDateTime, nullable=False),
    # 1: there is one more such certificate; -1: one less.
    Column("weight", Integer, nullable=False),
)

certificate_counts = Table(
    "certificate_counts",
    metadata,
    # Empty: what belongs to no organisation.
    Column("organisation_id", String(32), primary_key=True),
    # With all below it, or of the organisation alone.
    Column("whole", Boolean, primary_key=True),
    Column("measure", String(8), primary_key=True),
    Column("profile", String(64), primary_key=True),
    # Empty where it does not matter.
    Column("state", String(16), primary_key=True),
    Column("month", String(7), primary_key=True),
    Column("number", Sequence64, nullable=False, autoincrement=False),
    sqlite_with_rowid=False,
)

# What is reserved or failed is counted when somebody asks: it is little, and so an issuing costs
# one row here and not three.
_COUNTED: Final = "('issued', 'held', 'revoked')"
_COLUMNS: Final = "organisation_id, profile, state, issued_at, revoked_at, not_after"
_INSERT: Final = f"INSERT INTO certificate_count_changes ({_COLUMNS}, weight) SELECT "
_MORE: Final = (
    f"{_INSERT}{', '.join(f'NEW.{one}' for one in _COLUMNS.split(', '))}, 1 "
    f"WHERE NEW.state IN {_COUNTED};"
)
_LESS: Final = (
    f"{_INSERT}{', '.join(f'OLD.{one}' for one in _COLUMNS.split(', '))}, -1 "
    f"WHERE OLD.state IN {_COUNTED};"
)
_EVENTS: Final = (
    ("enter", "INSERT", _MORE),
    ("change", f"UPDATE OF {_COLUMNS}", f"{_LESS} {_MORE}"),
    ("leave", "DELETE", _LESS),
)
SQLITE: Final = tuple(
    f"CREATE TRIGGER certificates_{name}_counts AFTER {occasion} ON certificates BEGIN {body} END"
    for name, occasion, body in _EVENTS
)
_FUNCTION: Final = """CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN {body} RETURN NULL; END $$"""
_TRIGGER: Final = """CREATE TRIGGER {name} AFTER {occasion} ON certificates
    FOR EACH ROW EXECUTE FUNCTION {name}()"""
POSTGRESQL: Final = tuple(
    statement.format(name=f"certificates_{name}_counts", occasion=occasion, body=body)
    for name, occasion, body in _EVENTS
    for statement in (_FUNCTION, _TRIGGER)
)


@event.listens_for(metadata, "after_create")
def _make_triggers(
    _metadata: MetaData, connection: Connection, *, tables: Sequence[Table] = (), **_: Any
) -> None:
    """Make them with the tables; `yinxin/migrations` says the same of those that exist."""
    if certificate_counts in tables:
        sqlite = connection.dialect.name == "sqlite"
        for statement in SQLITE if sqlite else POSTGRESQL:
            connection.execute(text(statement))
