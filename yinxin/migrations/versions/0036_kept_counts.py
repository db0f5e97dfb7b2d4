"""Counts of certificates that are kept: by branch, profile, state and month.

Triggers note each change, so that none is forgotten. Expand: an older release notes it too.
Those that exist are entered as changes; the service adds them up when it has started.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INDEX = "ix_certificates_state_not_after"
_COVERING = "ix_certificates_state_not_after_organisation_id_profile"


def upgrade() -> None:
    op.create_table(
        "certificate_count_changes",
        sa.Column("number", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("organisation_id", sa.String(length=32), nullable=True),
        sa.Column("profile", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("not_after", sa.DateTime(timezone=True), nullable=False),
        sa.Column("weight", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_certificate_count_changes")),
    )
    op.create_table(
        "certificate_counts",
        sa.Column("organisation_id", sa.String(length=32), nullable=False),
        sa.Column("whole", sa.Boolean(), nullable=False),
        sa.Column("measure", sa.String(length=8), nullable=False),
        sa.Column("profile", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("number", _NUMBER, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint(
            "organisation_id",
            "whole",
            "measure",
            "profile",
            "state",
            "month",
            name=op.f("pk_certificate_counts"),
        ),
        sqlite_with_rowid=False,
    )
    # What is counted of states and ends is then read from the index alone.
    op.create_index(_COVERING, "certificates", ["state", "not_after", "organisation_id", "profile"])
    op.drop_index(_INDEX, table_name="certificates")
    sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in _SQLITE if sqlite else _POSTGRESQL:
        op.execute(statement)
    op.execute(f"{_INSERT}{_COLUMNS}, 1 FROM certificates WHERE state IN {_COUNTED}")


def downgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    for name, _, _ in _EVENTS:
        if sqlite:
            op.execute(f"DROP TRIGGER certificates_{name}_counts")
        else:
            op.execute(f"DROP TRIGGER certificates_{name}_counts ON certificates")
            op.execute(f"DROP FUNCTION certificates_{name}_counts()")
    op.create_index(_INDEX, "certificates", ["state", "not_after"])
    op.drop_index(_COVERING, table_name="certificates")
    op.drop_table("certificate_counts")
    op.drop_table("certificate_count_changes")


_COUNTED = "('issued', 'held', 'revoked')"
_COLUMNS = "organisation_id, profile, state, issued_at, revoked_at, not_after"
_INSERT = f"INSERT INTO certificate_count_changes ({_COLUMNS}, weight) SELECT "
_MORE = (
    f"{_INSERT}{', '.join(f'NEW.{one}' for one in _COLUMNS.split(', '))}, 1 "
    f"WHERE NEW.state IN {_COUNTED};"
)
_LESS = (
    f"{_INSERT}{', '.join(f'OLD.{one}' for one in _COLUMNS.split(', '))}, -1 "
    f"WHERE OLD.state IN {_COUNTED};"
)
_EVENTS = (
    ("enter", "INSERT", _MORE),
    ("change", f"UPDATE OF {_COLUMNS}", f"{_LESS} {_MORE}"),
    ("leave", "DELETE", _LESS),
)
_SQLITE = tuple(
    f"CREATE TRIGGER certificates_{name}_counts AFTER {occasion} ON certificates BEGIN {body} END"
    for name, occasion, body in _EVENTS
)
_FUNCTION = """CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN {body} RETURN NULL; END $$"""
_TRIGGER = """CREATE TRIGGER {name} AFTER {occasion} ON certificates
    FOR EACH ROW EXECUTE FUNCTION {name}()"""
_POSTGRESQL = tuple(
    statement.format(name=f"certificates_{name}_counts", occasion=occasion, body=body)
    for name, occasion, body in _EVENTS
    for statement in (_FUNCTION, _TRIGGER)
)
