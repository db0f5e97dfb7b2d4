"""How people are reached: telephone and address; and whose second factor was reset.

Expand: an older release does not look at these columns.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    op.add_column("users", sa.Column("phone", sa.String(length=32), nullable=True))
    op.add_column("users", sa.Column("address", sa.String(length=300), nullable=True))
    op.add_column(
        "users",
        sa.Column("factor_due", sa.Boolean(), nullable=False, server_default=sa.false()),
    )


def downgrade() -> None:
    op.drop_column("users", "factor_due")
    op.drop_column("users", "address")
    op.drop_column("users", "phone")
