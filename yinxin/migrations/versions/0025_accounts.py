"""Accounts: affiliations, people, access policies, consents.

Expand: an older release writes sessions that act for their person.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    op.add_column("browser_sessions", sa.Column("account", sa.String(length=36), nullable=True))
    op.create_index(op.f("ix_browser_sessions_account"), "browser_sessions", ["account"])
    op.create_table(
        "affiliations",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("organisation", sa.String(length=32), nullable=False),
        sa.Column("capacity", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_affiliations_user_id_users")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_affiliations")),
        sa.UniqueConstraint(
            "user_id",
            "organisation",
            "capacity",
            name=op.f("uq_affiliations_user_id_organisation_capacity"),
        ),
    )
    op.create_index(op.f("ix_affiliations_organisation"), "affiliations", ["organisation"])
    op.create_table(
        "people",
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("real_name_level", sa.Integer(), nullable=False),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("verified_by", sa.String(length=64), nullable=False),
        sa.Column("identity_type", sa.String(length=16), nullable=True),
        sa.Column("identity_digest", sa.String(length=64), nullable=True),
        sa.Column("identity_sealed", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_people_user_id_users")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_people")),
        sa.UniqueConstraint("identity_digest", name=op.f("uq_people_identity_digest")),
    )
    op.create_table(
        "client_access",
        sa.Column("client_id", sa.String(length=64), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("client_id", name=op.f("pk_client_access")),
    )
    op.create_table(
        "consents",
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("client_id", sa.String(length=64), nullable=False),
        sa.Column("account", sa.String(length=36), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_consents_user_id_users")),
        sa.PrimaryKeyConstraint("user_id", "client_id", "account", name=op.f("pk_consents")),
    )


def downgrade() -> None:
    for name in ("consents", "client_access", "people", "affiliations"):
        op.drop_table(name)
    op.drop_index(op.f("ix_browser_sessions_account"), table_name="browser_sessions")
    op.drop_column("browser_sessions", "account")
