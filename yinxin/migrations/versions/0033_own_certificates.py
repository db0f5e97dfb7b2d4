"""Whose a request is that came from the portal; and which certificate a binding was made with.

Expand: an older release does not look at these columns.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    op.add_column("enrollment_requests", sa.Column("owner", sa.String(length=36), nullable=True))
    owned = sa.text("owner IS NOT NULL")
    op.create_index(
        "ix_enrollment_requests_owner",
        "enrollment_requests",
        ["owner"],
        sqlite_where=owned,
        postgresql_where=owned,
    )
    op.add_column("certificate_bindings", sa.Column("serial", sa.String(length=40), nullable=True))


def downgrade() -> None:
    op.drop_column("certificate_bindings", "serial")
    op.drop_index("ix_enrollment_requests_owner", "enrollment_requests")
    op.drop_column("enrollment_requests", "owner")
