"""The key management centre, pairs of certificates, and the roles of its officers.

Expand first: old code works on these tables; it does not know the new roles.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_OLD = "role IN ('system', 'business', 'audit')"
_NEW = "role IN ('system', 'business', 'audit', 'key', 'judicial')"


def upgrade() -> None:
    _allow_roles()
    op.create_table(
        "escrow_keys",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("spki_fingerprint", sa.String(length=64), nullable=False),
        sa.Column("storage_key", sa.String(length=300), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("signing_key", sa.String(length=64), nullable=True),
        sa.Column("assigned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state = 'standby') = (request_id IS NULL)"
            " AND (state = 'standby') = (assigned_at IS NULL)"
            " AND (state = 'history') = (retired_at IS NOT NULL)",
            name=op.f("ck_escrow_keys_state_fits"),
        ),
        sa.CheckConstraint(
            "state IN ('standby', 'in-use', 'history')", name=op.f("ck_escrow_keys_state_known")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_escrow_keys")),
        sa.UniqueConstraint("id", name=op.f("uq_escrow_keys_id")),
        sa.UniqueConstraint("request_id", name=op.f("uq_escrow_keys_request_id")),
        sa.UniqueConstraint("spki_fingerprint", name=op.f("uq_escrow_keys_spki_fingerprint")),
    )
    op.create_index(
        op.f("ix_escrow_keys_state_number"), "escrow_keys", ["state", "number"], unique=False
    )
    op.create_table(
        "key_pairs",
        sa.Column("request_id", sa.String(length=32), nullable=False),
        sa.Column("key_id", sa.String(length=32), nullable=False),
        sa.Column("enveloped", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_key_pairs")),
        sa.UniqueConstraint("key_id", name=op.f("uq_key_pairs_key_id")),
    )
    op.create_index(op.f("ix_key_pairs_retired_at"), "key_pairs", ["retired_at"], unique=False)
    op.create_table(
        "escrow_recoveries",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("key_id", sa.String(length=32), nullable=False),
        sa.Column("recipient", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("requester", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rejected_by", sa.String(length=200), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "kind IN ('user', 'judicial')", name=op.f("ck_escrow_recoveries_kind_known")
        ),
        sa.CheckConstraint(
            "state IN ('requested', 'approved', 'delivered', 'rejected')",
            name=op.f("ck_escrow_recoveries_state_known"),
        ),
        sa.ForeignKeyConstraint(
            ["key_id"], ["escrow_keys.id"], name=op.f("fk_escrow_recoveries_key_id_escrow_keys")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_escrow_recoveries")),
        sa.UniqueConstraint("id", name=op.f("uq_escrow_recoveries_id")),
    )
    op.create_index(
        op.f("ix_escrow_recoveries_key_id"), "escrow_recoveries", ["key_id"], unique=False
    )
    op.create_table(
        "escrow_approvals",
        sa.Column("recovery_id", sa.String(length=32), nullable=False),
        sa.Column("officer", sa.String(length=200), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["recovery_id"],
            ["escrow_recoveries.id"],
            name=op.f("fk_escrow_approvals_recovery_id_escrow_recoveries"),
        ),
        sa.PrimaryKeyConstraint("recovery_id", "officer", name=op.f("pk_escrow_approvals")),
    )


def _allow_roles() -> None:
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        op.drop_constraint(op.f("ck_users_role"), "users", type_="check")
        op.create_check_constraint(op.f("ck_users_role"), "users", _NEW)
        return
    # SQLite cannot alter a constraint, and a new table would break the references to `users`. A
    # wider check changes no stored octet: https://sqlite.org/lang_altertable.html, section 7.
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql("PRAGMA writable_schema=ON")
    connection.execute(
        sa.text(
            "UPDATE sqlite_schema SET sql = replace(sql, :old, :new) "
            "WHERE type = 'table' AND name = 'users'"
        ),
        {"old": _OLD, "new": _NEW},
    )
    connection.exec_driver_sql(f"PRAGMA schema_version={version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema=OFF")
