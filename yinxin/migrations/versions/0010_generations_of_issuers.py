"""Generations of issuers: which issuing CA one succeeds, and from when on.

Expand first: old code must work on the new columns until the next release contracts.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("issuers", sa.Column("succeeds", sa.String(length=64), nullable=True))
    op.add_column("issuers", sa.Column("takes_over_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("issuers", "takes_over_at")
    op.drop_column("issuers", "succeeds")
