"""Subjects: people, organisations and devices.

Expand: an older release does not look at these tables.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "identifier_key",
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_identifier_key")),
    )
    op.create_table(
        "subjects",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("identifier_type", sa.String(length=20), nullable=False),
        sa.Column("identifier", sa.String(length=128), nullable=False),
        sa.Column("identifier_tail", sa.String(length=4), nullable=True),
        sa.Column("organisation_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=True),
        sa.Column("contacts", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('person', 'organisation', 'device')", name=op.f("ck_subjects_kind_known")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.id"],
            name=op.f("fk_subjects_organisation_id_organisations"),
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_subjects")),
        sa.UniqueConstraint("id", name=op.f("uq_subjects_id")),
        sa.UniqueConstraint(
            "kind",
            "identifier_type",
            "identifier",
            name=op.f("uq_subjects_kind_identifier_type_identifier"),
        ),
    )
    op.create_index(
        op.f("ix_subjects_organisation_id_number"),
        "subjects",
        ["organisation_id", "number"],
        unique=False,
    )
    op.create_table(
        "subject_moves",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("subject_id", sa.String(length=32), nullable=False),
        sa.Column("before", sa.String(length=32), nullable=True),
        sa.Column("after", sa.String(length=32), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["after"], ["organisations.id"], name=op.f("fk_subject_moves_after_organisations")
        ),
        sa.ForeignKeyConstraint(
            ["before"], ["organisations.id"], name=op.f("fk_subject_moves_before_organisations")
        ),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subjects.id"], name=op.f("fk_subject_moves_subject_id_subjects")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_subject_moves")),
    )
    op.create_index(
        op.f("ix_subject_moves_subject_id_number"),
        "subject_moves",
        ["subject_id", "number"],
        unique=False,
    )
