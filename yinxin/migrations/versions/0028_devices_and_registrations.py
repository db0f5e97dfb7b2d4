"""Devices that wait for a person, and applications that register themselves.

Expand: an older release does not look at these tables.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    op.create_table(
        "oidc_device_codes",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("user_code", sa.LargeBinary(length=32), nullable=False),
        sa.Column("grant_id", sa.String(length=36), nullable=False),
        sa.Column("client_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=True),
        sa.Column("sid", sa.String(length=36), nullable=True),
        sa.Column("granted", sa.Text(), nullable=False),
        sa.Column("confirmation", sa.String(length=80), nullable=True),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("polled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_oidc_device_codes")),
        sa.UniqueConstraint("user_code", name=op.f("uq_oidc_device_codes_user_code")),
    )
    op.create_table(
        "oidc_initial_tokens",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("uses_left", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_oidc_initial_tokens")),
        sa.UniqueConstraint("id", name=op.f("uq_oidc_initial_tokens_id")),
    )
    op.create_table(
        "oidc_registrations",
        sa.Column("client_id", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("client_id", name=op.f("pk_oidc_registrations")),
    )
    for table, column in (
        ("oidc_device_codes", "sid"),
        ("oidc_device_codes", "expires_at"),
        ("oidc_initial_tokens", "expires_at"),
    ):
        op.create_index(op.f(f"ix_{table}_{column}"), table, [column])


def downgrade() -> None:
    for table in ("oidc_registrations", "oidc_initial_tokens", "oidc_device_codes"):
        op.drop_table(table)
