"""Requests for every act on certificates, with their steps; and whose each certificate is.

Expand only: a release before this one goes on working on these tables.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_OWNER = ("organisation_id", "subject_id")
_INDEXES = (
    (("target_issuer", "target_serial"), False),
    (("replaces",), True),
    (("follow_up",), False),
)
_STATE_KNOWN = "ck_enrollment_requests_state_known"
_STATES = "state IN ('pending', 'reviewed', 'awaiting-pickup', 'approved', 'done', 'rejected')"
_OLD_STATES = "state IN ('pending', 'approved', 'rejected')"


def upgrade() -> None:
    for name in _OWNER:
        op.add_column("certificates", sa.Column(name, sa.String(length=32), nullable=True))
    _replace_check(_STATES)
    for column in _columns():
        op.add_column("enrollment_requests", column)
    for columns, unique in _INDEXES:
        index = op.f(f"ix_enrollment_requests_{'_'.join(columns)}")
        op.create_index(index, "enrollment_requests", list(columns), unique=unique)


def downgrade() -> None:
    for columns, _ in _INDEXES:
        index = op.f(f"ix_enrollment_requests_{'_'.join(columns)}")
        op.drop_index(index, table_name="enrollment_requests")
    for column in _columns():
        op.drop_column("enrollment_requests", column.name)
    _replace_check(_OLD_STATES)
    for name in _OWNER:
        op.drop_column("certificates", name)


def _columns() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("operation", sa.String(length=16), nullable=False, server_default="apply"),
        sa.Column("needs_make", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("keyless", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("made_by", sa.String(length=200), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=True),
        *(sa.Column(name, sa.String(length=32), nullable=True) for name in _OWNER),
        sa.Column("target_issuer", sa.String(length=64), nullable=True),
        sa.Column("target_serial", sa.String(length=40), nullable=True),
        sa.Column("target_request", sa.String(length=32), nullable=True),
        sa.Column("reason", sa.String(length=32), nullable=True),
        sa.Column("provisional", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("replaces", sa.String(length=105), nullable=True),
        sa.Column("follow_up", sa.String(length=16), nullable=True),
    )


def _replace_check(states: str) -> None:
    with op.batch_alter_table("enrollment_requests") as batch:
        if op.get_bind().dialect.name == "postgresql":
            # On SQLite the copy of the table leaves the old check behind by itself.
            batch.drop_constraint(op.f(_STATE_KNOWN), type_="check")
        batch.create_check_constraint(op.f(_STATE_KNOWN), states)
