"""Pick-ups by two codes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.create_table(
        "pickups",
        sa.Column("request_id", sa.String(length=32), nullable=False),
        sa.Column("reference_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("code_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_pickups")),
        sa.UniqueConstraint("reference_digest", name=op.f("uq_pickups_reference_digest")),
    )


def downgrade() -> None:
    op.drop_table("pickups")
