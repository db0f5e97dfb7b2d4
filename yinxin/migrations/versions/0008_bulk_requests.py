"""Bulk requests: a batch and its items."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "bulk_batches",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("profile", sa.String(length=64), nullable=False),
        sa.Column("issuer", sa.String(length=64), nullable=False),
        sa.Column("key_algorithm", sa.String(length=16), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("requester", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("needs_approval", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("organisation_id", sa.String(length=32), nullable=True),
        sa.Column("recipient", sa.LargeBinary(), nullable=True),
        sa.Column("data_key", sa.LargeBinary(), nullable=True),
        sa.Column("decided_by", sa.String(length=200), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("package_digest", sa.String(length=64), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delivered_to", sa.String(length=200), nullable=True),
        sa.Column("holder", sa.String(length=32), nullable=True),
        sa.Column("held_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('checking', 'checked', 'pending', 'issuing', 'paused', 'cancelling', "
            "'cancelled', 'rejected', 'done')",
            name=op.f("ck_bulk_batches_state_known"),
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_bulk_batches")),
        sa.UniqueConstraint("id", name=op.f("uq_bulk_batches_id")),
    )
    op.create_index(op.f("ix_bulk_batches_state_number"), "bulk_batches", ["state", "number"])
    op.create_index(op.f("ix_bulk_batches_expires_at"), "bulk_batches", ["expires_at"])
    op.create_table(
        "bulk_items",
        sa.Column("batch_id", sa.String(length=32), nullable=False),
        sa.Column("row", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("request_id", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=True),
        sa.Column("spki", sa.LargeBinary(), nullable=True),
        sa.Column("spki_fingerprint", sa.String(length=64), nullable=True),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint(
            "state IN ('new', 'valid', 'bad', 'started', 'issued', 'failed', 'cancelled')",
            name=op.f("ck_bulk_items_state_known"),
        ),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["bulk_batches.id"], name=op.f("fk_bulk_items_batch_id_bulk_batches")
        ),
        sa.PrimaryKeyConstraint("batch_id", "row", name=op.f("pk_bulk_items")),
        sa.UniqueConstraint("request_id", name=op.f("uq_bulk_items_request_id")),
    )
    op.create_index(
        op.f("ix_bulk_items_batch_id_state_row"), "bulk_items", ["batch_id", "state", "row"]
    )
