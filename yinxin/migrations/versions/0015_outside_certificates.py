"""Certificates of outside CAs: above an issuer of ours, and cross-certificates of its key.

Expand first: old code must work on the new table until the next release contracts.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.create_table(
        "outside_certificates",
        sa.Column("issuer", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("certificate", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('above', 'cross')", name=op.f("ck_outside_certificates_kind_known")
        ),
        sa.PrimaryKeyConstraint("issuer", "fingerprint", name=op.f("pk_outside_certificates")),
    )


def downgrade() -> None:
    op.drop_table("outside_certificates")
