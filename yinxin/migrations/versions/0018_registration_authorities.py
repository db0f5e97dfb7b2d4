"""Registration authorities that run apart, and their desks.

Expand: an older release does not look at these tables.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.create_table(
        "registrars",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("organisation_id", sa.String(length=32), nullable=False),
        sa.Column("url", sa.String(length=300), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.id"],
            name=op.f("fk_registrars_organisation_id_organisations"),
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_registrars")),
        sa.UniqueConstraint("key", name=op.f("uq_registrars_key")),
    )
    op.create_table(
        "registrar_acts",
        sa.Column("registrar", sa.String(length=64), nullable=False),
        sa.Column("act_id", sa.String(length=32), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("registrar", "act_id", name=op.f("pk_registrar_acts")),
    )
    op.create_table(
        "desk_acts",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("operation", sa.String(length=16), nullable=False),
        sa.Column("profile", sa.String(length=64), nullable=True),
        sa.Column("organisation_id", sa.String(length=32), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("requester", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.String(length=200), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("issuer", sa.String(length=64), nullable=True),
        sa.Column("serial", sa.String(length=40), nullable=True),
        sa.CheckConstraint(
            "state IN ('pending', 'sent', 'done', 'refused', 'rejected')",
            name=op.f("ck_desk_acts_state_known"),
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_desk_acts")),
        sa.UniqueConstraint("id", name=op.f("uq_desk_acts_id")),
    )
    op.create_index(op.f("ix_desk_acts_state_answered_at"), "desk_acts", ["state", "answered_at"])
    op.create_index(op.f("ix_desk_acts_issuer_serial"), "desk_acts", ["issuer", "serial"])
