"""The first tables.

Expand first: old code must work on the new tables until the next release contracts.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "access_tokens",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("grant_id", sa.String(length=36), nullable=False),
        sa.Column("client_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("sid", sa.String(length=36), nullable=False),
        sa.Column("scope", sa.String(length=200), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_access_tokens")),
    )
    op.create_index(
        op.f("ix_access_tokens_expires_at"), "access_tokens", ["expires_at"], unique=False
    )
    op.create_index(op.f("ix_access_tokens_grant_id"), "access_tokens", ["grant_id"], unique=False)
    op.create_index(op.f("ix_access_tokens_sid"), "access_tokens", ["sid"], unique=False)
    op.create_table(
        "audit_checkpoints",
        sa.Column(
            "sequence",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_audit_checkpoints")),
    )
    op.create_table(
        "audit_events",
        sa.Column(
            "sequence",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("previous", sa.LargeBinary(length=32), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_audit_events")),
    )
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_head")),
    )
    op.create_table(
        "authorization_codes",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("grant_id", sa.String(length=36), nullable=False),
        sa.Column("client_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("sid", sa.String(length=36), nullable=False),
        sa.Column("redirect_uri", sa.Text(), nullable=False),
        sa.Column("scope", sa.String(length=200), nullable=False),
        sa.Column("nonce", sa.String(length=512), nullable=True),
        sa.Column("code_challenge", sa.String(length=43), nullable=False),
        sa.Column("auth_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("amr", sa.String(length=16), nullable=False),
        sa.Column("acr", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_authorization_codes")),
    )
    op.create_index(
        op.f("ix_authorization_codes_expires_at"),
        "authorization_codes",
        ["expires_at"],
        unique=False,
    )
    op.create_table(
        "certificates",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("issuer", sa.String(length=64), nullable=False),
        sa.Column("serial", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("profile", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("not_after", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tbs", sa.LargeBinary(), nullable=False),
        sa.Column("der", sa.LargeBinary(), nullable=True),
        sa.Column("fingerprint", sa.String(length=64), nullable=True),
        sa.Column("spki_fingerprint", sa.String(length=64), nullable=False),
        sa.Column("requester", sa.String(length=200), nullable=False),
        sa.Column("request_id", sa.String(length=128), nullable=True),
        sa.Column("reserved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("interrupted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(length=32), nullable=True),
        sa.CheckConstraint(
            "(state IN ('held', 'revoked')) = (revoked_at IS NOT NULL AND reason IS NOT NULL)",
            name=op.f("ck_certificates_revoked_has_reason"),
        ),
        sa.CheckConstraint(
            "state IN ('reserved', 'issued', 'failed', 'held', 'revoked')",
            name=op.f("ck_certificates_state_known"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certificates")),
        sa.UniqueConstraint("issuer", "serial", name=op.f("uq_certificates_issuer_serial")),
        sa.UniqueConstraint("request_id", name=op.f("uq_certificates_request_id")),
    )
    op.create_index(
        op.f("ix_certificates_fingerprint"), "certificates", ["fingerprint"], unique=False
    )
    op.create_index(
        op.f("ix_certificates_issuer_id"), "certificates", ["issuer", "id"], unique=False
    )
    op.create_index(
        op.f("ix_certificates_issuer_state_id"),
        "certificates",
        ["issuer", "state", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_certificates_issuer_state_revoked_at"),
        "certificates",
        ["issuer", "state", "revoked_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_certificates_profile_id"), "certificates", ["profile", "id"], unique=False
    )
    op.create_index(
        op.f("ix_certificates_spki_fingerprint"), "certificates", ["spki_fingerprint"], unique=False
    )
    op.create_index(op.f("ix_certificates_state_id"), "certificates", ["state", "id"], unique=False)
    op.create_index(
        op.f("ix_certificates_state_not_after"),
        "certificates",
        ["state", "not_after"],
        unique=False,
    )
    op.create_table(
        "crl_numbers",
        sa.Column("issuer", sa.String(length=64), nullable=False),
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("issuer", name=op.f("pk_crl_numbers")),
    )
    op.create_table(
        "crls",
        sa.Column("issuer", sa.String(length=64), nullable=False),
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("this_update", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_update", sa.DateTime(timezone=True), nullable=False),
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("der", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("issuer", "number", name=op.f("pk_crls")),
    )
    op.create_table(
        "enrollment_requests",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("issuer", sa.String(length=64), nullable=False),
        sa.Column("profile", sa.String(length=64), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("needs_approval", sa.Boolean(), nullable=False),
        sa.Column("requester", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.String(length=200), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('pending', 'approved', 'rejected')",
            name=op.f("ck_enrollment_requests_state_known"),
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_enrollment_requests")),
        sa.UniqueConstraint("id", name=op.f("uq_enrollment_requests_id")),
    )
    op.create_index(
        op.f("ix_enrollment_requests_state_created_at"),
        "enrollment_requests",
        ["state", "created_at"],
        unique=False,
    )
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
            "(state = 'standby') = (request_id IS NULL) AND (state = 'standby') = (assigned_at IS NULL) AND (state = 'history') = (retired_at IS NOT NULL)",
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
        "idempotency_keys",
        sa.Column("caller", sa.String(length=200), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("body_hash", sa.String(length=64), nullable=False),
        sa.Column("request_id", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("caller", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_table(
        "issuers",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("parent", sa.String(length=64), nullable=True),
        sa.Column("key_ref", sa.String(length=300), nullable=False),
        sa.Column("signature_algorithm", sa.String(length=32), nullable=False),
        sa.Column("certificate", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_issuers")),
    )
    op.create_table(
        "job_leases",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("holder", sa.String(length=32), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_job_leases")),
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
        "login_addresses",
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("free_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("address", name=op.f("pk_login_addresses")),
    )
    op.create_index(
        op.f("ix_login_addresses_free_at"), "login_addresses", ["free_at"], unique=False
    )
    op.create_table(
        "login_challenges",
        sa.Column("nonce", sa.String(length=64), nullable=False),
        sa.Column("browser", sa.LargeBinary(length=32), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("nonce", name=op.f("pk_login_challenges")),
    )
    op.create_index(
        op.f("ix_login_challenges_expires_at"), "login_challenges", ["expires_at"], unique=False
    )
    op.create_table(
        "ocsp_delegates",
        sa.Column("issuer", sa.String(length=64), nullable=False),
        sa.Column("serial", sa.String(length=40), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("algorithm", sa.String(length=32), nullable=False),
        sa.Column("certificate", sa.LargeBinary(), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("not_after", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("issuer", "serial", name=op.f("pk_ocsp_delegates")),
    )
    op.create_table(
        "oidc_clients",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("secret_digest", sa.LargeBinary(length=32), nullable=True),
        sa.Column("auth_method", sa.String(length=32), nullable=False),
        sa.Column("redirect_uris", sa.Text(), nullable=False),
        sa.Column("post_logout_redirect_uris", sa.Text(), nullable=False),
        sa.Column("scopes", sa.String(length=200), nullable=False),
        sa.Column("id_token_algorithm", sa.String(length=8), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_oidc_clients")),
    )
    op.create_table(
        "revocation_events",
        sa.Column("issuer", sa.String(length=64), nullable=False),
        sa.Column(
            "position",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("serial", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("issuer", "position", name=op.f("pk_revocation_events")),
    )
    op.create_table(
        "revocation_positions",
        sa.Column("issuer", sa.String(length=64), nullable=False),
        sa.Column(
            "position",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("issuer", name=op.f("pk_revocation_positions")),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("display_name", sa.String(length=200), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=True),
        sa.Column("role", sa.String(length=16), nullable=True),
        sa.Column("password_hash", sa.String(length=200), nullable=True),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("failed_attempts", sa.Integer(), nullable=False),
        sa.Column("locked_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "role IN ('system', 'business', 'audit', 'key', 'judicial')", name=op.f("ck_users_role")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("name", name=op.f("uq_users_name")),
    )
    op.create_table(
        "api_tokens",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_api_tokens_user_id_users")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("digest", name=op.f("uq_api_tokens_digest")),
    )
    op.create_index(op.f("ix_api_tokens_expires_at"), "api_tokens", ["expires_at"], unique=False)
    op.create_index(op.f("ix_api_tokens_user_id"), "api_tokens", ["user_id"], unique=False)
    op.create_table(
        "browser_sessions",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("sid", sa.String(length=36), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("auth_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("amr", sa.String(length=16), nullable=False),
        sa.Column("acr", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_browser_sessions_user_id_users")
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_browser_sessions")),
        sa.UniqueConstraint("sid", name=op.f("uq_browser_sessions_sid")),
    )
    op.create_index(
        op.f("ix_browser_sessions_expires_at"), "browser_sessions", ["expires_at"], unique=False
    )
    op.create_index(
        op.f("ix_browser_sessions_user_id"), "browser_sessions", ["user_id"], unique=False
    )
    op.create_table(
        "certificate_bindings",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("issuer", sa.String(length=64), nullable=False),
        sa.Column("subject_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("key_digest", sa.LargeBinary(length=32), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_certificate_bindings_user_id_users")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certificate_bindings")),
        sa.UniqueConstraint(
            "issuer", "subject_digest", name=op.f("uq_certificate_bindings_issuer_subject_digest")
        ),
    )
    op.create_index(
        op.f("ix_certificate_bindings_user_id"), "certificate_bindings", ["user_id"], unique=False
    )
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
        "setup_links",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_setup_links_user_id_users")
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_setup_links")),
    )
    op.create_index(op.f("ix_setup_links_expires_at"), "setup_links", ["expires_at"], unique=False)
    op.create_index(op.f("ix_setup_links_user_id"), "setup_links", ["user_id"], unique=False)
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


def downgrade() -> None:
    op.drop_table("escrow_approvals")
    op.drop_index(op.f("ix_setup_links_user_id"), table_name="setup_links")
    op.drop_index(op.f("ix_setup_links_expires_at"), table_name="setup_links")
    op.drop_table("setup_links")
    op.drop_index(op.f("ix_escrow_recoveries_key_id"), table_name="escrow_recoveries")
    op.drop_table("escrow_recoveries")
    op.drop_index(op.f("ix_certificate_bindings_user_id"), table_name="certificate_bindings")
    op.drop_table("certificate_bindings")
    op.drop_index(op.f("ix_browser_sessions_user_id"), table_name="browser_sessions")
    op.drop_index(op.f("ix_browser_sessions_expires_at"), table_name="browser_sessions")
    op.drop_table("browser_sessions")
    op.drop_index(op.f("ix_api_tokens_user_id"), table_name="api_tokens")
    op.drop_index(op.f("ix_api_tokens_expires_at"), table_name="api_tokens")
    op.drop_table("api_tokens")
    op.drop_table("users")
    op.drop_table("revocation_positions")
    op.drop_table("revocation_events")
    op.drop_table("oidc_clients")
    op.drop_table("ocsp_delegates")
    op.drop_index(op.f("ix_login_challenges_expires_at"), table_name="login_challenges")
    op.drop_table("login_challenges")
    op.drop_index(op.f("ix_login_addresses_free_at"), table_name="login_addresses")
    op.drop_table("login_addresses")
    op.drop_index(op.f("ix_key_pairs_retired_at"), table_name="key_pairs")
    op.drop_table("key_pairs")
    op.drop_table("job_leases")
    op.drop_table("issuers")
    op.drop_table("idempotency_keys")
    op.drop_index(op.f("ix_escrow_keys_state_number"), table_name="escrow_keys")
    op.drop_table("escrow_keys")
    op.drop_index(op.f("ix_enrollment_requests_state_created_at"), table_name="enrollment_requests")
    op.drop_table("enrollment_requests")
    op.drop_table("crls")
    op.drop_table("crl_numbers")
    op.drop_index(op.f("ix_certificates_state_not_after"), table_name="certificates")
    op.drop_index(op.f("ix_certificates_state_id"), table_name="certificates")
    op.drop_index(op.f("ix_certificates_spki_fingerprint"), table_name="certificates")
    op.drop_index(op.f("ix_certificates_profile_id"), table_name="certificates")
    op.drop_index(op.f("ix_certificates_issuer_state_revoked_at"), table_name="certificates")
    op.drop_index(op.f("ix_certificates_issuer_state_id"), table_name="certificates")
    op.drop_index(op.f("ix_certificates_issuer_id"), table_name="certificates")
    op.drop_index(op.f("ix_certificates_fingerprint"), table_name="certificates")
    op.drop_table("certificates")
    op.drop_index(op.f("ix_authorization_codes_expires_at"), table_name="authorization_codes")
    op.drop_table("authorization_codes")
    op.drop_table("audit_head")
    op.drop_table("audit_events")
    op.drop_table("audit_checkpoints")
    op.drop_index(op.f("ix_access_tokens_sid"), table_name="access_tokens")
    op.drop_index(op.f("ix_access_tokens_grant_id"), table_name="access_tokens")
    op.drop_index(op.f("ix_access_tokens_expires_at"), table_name="access_tokens")
    op.drop_table("access_tokens")
