"""The tree of organisations, and rights in it.

Expand: an older release does not look at these tables.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "organisations",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("parent", sa.String(length=32), nullable=True),
        sa.Column("level", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("code", sa.String(length=18), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "level IN ('province', 'city', 'county', 'department', 'unit')",
            name=op.f("ck_organisations_level_known"),
        ),
        sa.ForeignKeyConstraint(
            ["parent"], ["organisations.id"], name=op.f("fk_organisations_parent_organisations")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_organisations")),
        sa.UniqueConstraint("code", name=op.f("uq_organisations_code")),
        sa.UniqueConstraint("id", name=op.f("uq_organisations_id")),
    )
    op.create_index(op.f("ix_organisations_parent"), "organisations", ["parent"], unique=False)
    op.create_index(
        "uq_organisations_root",
        "organisations",
        ["level"],
        unique=True,
        sqlite_where=sa.text("parent IS NULL"),
        postgresql_where=sa.text("parent IS NULL"),
    )
    op.create_table(
        "organisation_changes",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("organisation_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("before", sa.String(length=200), nullable=True),
        sa.Column("after", sa.String(length=200), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.CheckConstraint(
            "kind IN ('created', 'renamed', 'moved', 'closed')",
            name=op.f("ck_organisation_changes_kind_known"),
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.id"],
            name=op.f("fk_organisation_changes_organisation_id_organisations"),
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_organisation_changes")),
    )
    op.create_index(
        op.f("ix_organisation_changes_organisation_id_number"),
        "organisation_changes",
        ["organisation_id", "number"],
        unique=False,
    )
    op.create_table(
        "organisation_closure",
        sa.Column("ancestor", sa.String(length=32), nullable=False),
        sa.Column("descendant", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["ancestor"],
            ["organisations.id"],
            name=op.f("fk_organisation_closure_ancestor_organisations"),
        ),
        sa.ForeignKeyConstraint(
            ["descendant"],
            ["organisations.id"],
            name=op.f("fk_organisation_closure_descendant_organisations"),
        ),
        sa.PrimaryKeyConstraint("ancestor", "descendant", name=op.f("pk_organisation_closure")),
    )
    op.create_index(
        op.f("ix_organisation_closure_descendant"),
        "organisation_closure",
        ["descendant"],
        unique=False,
    )
    op.create_table(
        "rights",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("operator", sa.String(length=200), nullable=False),
        sa.Column("organisation_id", sa.String(length=32), nullable=False),
        sa.Column("profiles", sa.Text(), nullable=True),
        sa.Column("operations", sa.Text(), nullable=True),
        sa.Column("steps", sa.String(length=32), nullable=False),
        sa.Column("granted_by", sa.String(length=200), nullable=False),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.id"],
            name=op.f("fk_rights_organisation_id_organisations"),
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_rights")),
        sa.UniqueConstraint("id", name=op.f("uq_rights_id")),
    )
    op.create_index(
        op.f("ix_rights_operator_organisation_id"),
        "rights",
        ["operator", "organisation_id"],
        unique=False,
    )
    op.create_index(op.f("ix_rights_organisation_id"), "rights", ["organisation_id"], unique=False)
