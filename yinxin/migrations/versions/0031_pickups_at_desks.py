"""Pick-ups and replacements at the desks of registration authorities that run apart.

Expand: an older release goes on working on this table.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"

_STATE_KNOWN = "ck_desk_acts_state_known"
_STATES = "state IN ('pending', 'awaiting-pickup', 'sent', 'done', 'refused', 'rejected')"
_OLD_STATES = "state IN ('pending', 'sent', 'done', 'refused', 'rejected')"


def upgrade() -> None:
    _replace_check(_STATES)
    for column in _columns():
        op.add_column("desk_acts", column)


def downgrade() -> None:
    for column in _columns():
        op.drop_column("desk_acts", column.name)
    _replace_check(_OLD_STATES)


def _columns() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("keyless", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("not_after", sa.DateTime(timezone=True), nullable=True),
        sa.Column("wanted", sa.Text(), nullable=True),
        sa.Column("envelope", sa.Text(), nullable=True),
    )


def _replace_check(states: str) -> None:
    with op.batch_alter_table("desk_acts") as batch:
        if op.get_bind().dialect.name == "postgresql":
            # On SQLite the copy of the table leaves the old check behind by itself.
            batch.drop_constraint(op.f(_STATE_KNOWN), type_="check")
        batch.create_check_constraint(op.f(_STATE_KNOWN), states)
