"""Identities of other systems, and whose they are.

Expand: an older release does not look at this table.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    op.create_table(
        "external_identities",
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_external_identities_user_id_users")
        ),
        sa.PrimaryKeyConstraint("source", "subject", name=op.f("pk_external_identities")),
        sa.UniqueConstraint(
            "user_id", "source", name=op.f("uq_external_identities_user_id_source")
        ),
    )


def downgrade() -> None:
    op.drop_table("external_identities")
