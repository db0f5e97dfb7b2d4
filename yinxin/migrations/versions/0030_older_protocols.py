"""Entering applications by CAS, and applications behind a proxy that asks us.

Expand: an older release does not look at these tables.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    op.create_table(
        "client_entries",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("client_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_client_entries")),
    )
    op.create_index(op.f("ix_client_entries_client_id"), "client_entries", ["client_id"])
    op.create_table(
        "entry_tickets",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("client_id", sa.String(length=64), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("sid", sa.String(length=36), nullable=False),
        sa.Column("auth_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fresh", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_entry_tickets")),
    )
    op.create_index(op.f("ix_entry_tickets_sid"), "entry_tickets", ["sid"])
    op.create_index(op.f("ix_entry_tickets_expires_at"), "entry_tickets", ["expires_at"])
    op.create_table(
        "gate_passes",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("client_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("sid", sa.String(length=36), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_gate_passes")),
    )
    op.create_index(op.f("ix_gate_passes_sid"), "gate_passes", ["sid"])
    op.create_index(op.f("ix_gate_passes_expires_at"), "gate_passes", ["expires_at"])


def downgrade() -> None:
    op.drop_table("gate_passes")
    op.drop_table("entry_tickets")
    op.drop_table("client_entries")
