"""Escrowed keys of several algorithms, PKCS#12 once, temporary keys, the centre's certificate.

Expand only: a release before this one goes on working on these tables, with SM2 keys.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_OLD = ("state", "number")
_NEW = ("algorithm", "state", "number")


def upgrade() -> None:
    op.add_column(
        "escrow_keys",
        sa.Column("algorithm", sa.String(length=16), nullable=False, server_default="sm2"),
    )
    op.add_column(
        "escrow_keys", sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True)
    )
    _replace_index(_OLD, _NEW)
    op.add_column("key_pairs", sa.Column("temporary_key", sa.LargeBinary(), nullable=True))
    op.create_table(
        "escrow_identities",
        sa.Column("spki_fingerprint", sa.String(length=64), nullable=False),
        sa.Column("certificate", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("spki_fingerprint", name=op.f("pk_escrow_identities")),
    )


def downgrade() -> None:
    op.drop_table("escrow_identities")
    op.drop_column("key_pairs", "temporary_key")
    _replace_index(_NEW, _OLD)
    op.drop_column("escrow_keys", "delivered_at")
    op.drop_column("escrow_keys", "algorithm")


def _replace_index(old: tuple[str, ...], new: tuple[str, ...]) -> None:
    op.drop_index(op.f(f"ix_escrow_keys_{'_'.join(old)}"), table_name="escrow_keys")
    op.create_index(op.f(f"ix_escrow_keys_{'_'.join(new)}"), "escrow_keys", list(new))
