"""Expiry notices: one row a certificate, threshold and channel."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "notices",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("certificate_id", _ID, nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.String(200), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'sent', 'dropped')", name=op.f("ck_notices_state_known")
        ),
        sa.ForeignKeyConstraint(
            ["certificate_id"],
            ["certificates.id"],
            name=op.f("fk_notices_certificate_id_certificates"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
        sa.UniqueConstraint(
            "certificate_id", "days", "channel", name=op.f("uq_notices_certificate_id_days_channel")
        ),
    )
    op.create_index(
        op.f("ix_notices_state_channel_due_at"), "notices", ["state", "channel", "due_at"]
    )
    op.create_table(
        "notice_scans",
        sa.Column("days", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("not_after", sa.DateTime(timezone=True), nullable=False),
        sa.Column("certificate_id", _ID, nullable=False),
        sa.PrimaryKeyConstraint("days", name=op.f("pk_notice_scans")),
    )


def downgrade() -> None:
    op.drop_table("notice_scans")
    op.drop_table("notices")
