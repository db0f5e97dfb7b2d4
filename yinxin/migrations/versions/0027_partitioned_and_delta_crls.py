"""CRLs of partitions, delta CRLs, and the encoded lines of all of them.

Not for a rolling upgrade: an older release does not find the CRLs under the new name of the column.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    for table in ("crl_numbers", "crls"):
        with op.batch_alter_table(table) as batch:
            batch.alter_column(
                "issuer",
                new_column_name="scope",
                existing_type=sa.String(64),
                type_=sa.String(80),
                existing_nullable=False,
            )
    op.add_column("crls", sa.Column("base", _NUMBER, nullable=True))
    op.create_table(
        "crl_partitionings",
        sa.Column("issuer", sa.String(64), nullable=False),
        sa.Column("partitions", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("revocation_url", sa.String(300), nullable=False),
        sa.PrimaryKeyConstraint(
            "issuer", "partitions", "revocation_url", name=op.f("pk_crl_partitionings")
        ),
    )
    # Certificates that were issued before point to the full CRL; at what URL is not known here.
    op.execute(
        "INSERT INTO crl_partitionings (issuer, partitions, revocation_url) "
        "SELECT name, 1, '' FROM issuers"
    )
    op.create_table(
        "crl_coverage",
        sa.Column("issuer", sa.String(64), nullable=False),
        sa.Column("position", _NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("issuer", name=op.f("pk_crl_coverage")),
    )
    op.create_table(
        "crl_segments",
        sa.Column("issuer", sa.String(64), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", _NUMBER, nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("first_end", _NUMBER, nullable=True),
        sa.Column("lines", sa.LargeBinary(), nullable=False),
        sa.Column("ends", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("issuer", "number", name=op.f("pk_crl_segments")),
    )
