"""Single logout: who takes part in a session, what it stands on, and whom to tell of its end.

Expand: an older release does not look at these tables.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    op.create_index(op.f("ix_browser_sessions_seen_at"), "browser_sessions", ["seen_at"])
    op.create_table(
        "session_certificates",
        sa.Column("sid", sa.String(length=36), nullable=False),
        sa.Column("issuer", sa.String(length=64), nullable=False),
        sa.Column("serial", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("sid", "issuer", "serial", name=op.f("pk_session_certificates")),
    )
    op.create_index(
        op.f("ix_session_certificates_issuer_serial"), "session_certificates", ["issuer", "serial"]
    )
    op.create_table(
        "session_applications",
        sa.Column("sid", sa.String(length=36), nullable=False),
        sa.Column("client_id", sa.String(length=64), nullable=False),
        sa.Column("ticket", sa.String(length=64), nullable=False),
        sa.Column("channel", sa.String(length=8), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("backchannel_uri", sa.Text(), nullable=True),
        sa.Column("frontchannel_uri", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("sid", "client_id", "ticket", name=op.f("pk_session_applications")),
    )
    op.create_table(
        "logout_deliveries",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("sid", sa.String(length=36), nullable=False),
        sa.Column("client_id", sa.String(length=64), nullable=False),
        sa.Column("ticket", sa.String(length=64), nullable=False),
        sa.Column("channel", sa.String(length=8), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_logout_deliveries")),
    )
    op.create_index(op.f("ix_logout_deliveries_due_at"), "logout_deliveries", ["due_at"])
    op.create_index(
        op.f("ix_logout_deliveries_client_id_due_at"), "logout_deliveries", ["client_id", "due_at"]
    )


def downgrade() -> None:
    op.drop_table("logout_deliveries")
    op.drop_table("session_applications")
    op.drop_table("session_certificates")
    op.drop_index(op.f("ix_browser_sessions_seen_at"), "browser_sessions")
