"""How far publishing to a directory has come, and what was not taken."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "publication_positions",
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("position", _ID, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_publication_positions")),
    )
    op.create_table(
        "publication_faults",
        sa.Column("certificate_id", _ID, autoincrement=False, nullable=False),
        sa.Column("error", sa.String(200), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["certificate_id"],
            ["certificates.id"],
            name=op.f("fk_publication_faults_certificate_id_certificates"),
        ),
        sa.PrimaryKeyConstraint("certificate_id", name=op.f("pk_publication_faults")),
    )
    op.create_index(op.f("ix_publication_faults_due_at"), "publication_faults", ["due_at"])


def downgrade() -> None:
    op.drop_table("publication_faults")
    op.drop_table("publication_positions")
