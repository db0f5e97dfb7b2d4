"""The rows of authentication. Digests are SHA-256 of secrets; no secret has a column."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
    false,
)

from core.db import UTCDateTime, metadata

_UUID = String(36)
_DIGEST = LargeBinary(32)

users = Table(
    "users",
    metadata,
    Column("id", _UUID, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("display_name", String(200), nullable=False),
    Column("email", String(254)),
    Column("role", String(16)),
    Column("password_hash", String(200)),
    Column("disabled", Boolean, nullable=False),
    Column("failed_attempts", Integer, nullable=False),
    Column("locked_until", UTCDateTime),
    Column("created_at", UTCDateTime, nullable=False),
    Column("phone", String(32)),
    Column("address", String(300)),
    # The second factor was lost and reset: no login is complete until there is another.
    Column("factor_due", Boolean, nullable=False, server_default=false()),
    CheckConstraint(
        "role IN ('system', 'business', 'audit', 'key', 'judicial')",
        name="role",
    ),
)

setup_links = Table(
    "setup_links",
    metadata,
    Column("digest", _DIGEST, primary_key=True),
    Column("user_id", _UUID, ForeignKey("users.id"), nullable=False, index=True),
    Column("expires_at", UTCDateTime, nullable=False, index=True),
    Column("used_at", UTCDateTime),
)

login_addresses = Table(
    "login_addresses",
    metadata,
    Column("address", String(64), primary_key=True),
    Column("free_at", UTCDateTime, nullable=False, index=True),
)

sessions = Table(
    "browser_sessions",
    metadata,
    Column("digest", _DIGEST, primary_key=True),
    Column("sid", _UUID, nullable=False, unique=True),
    Column("user_id", _UUID, ForeignKey("users.id"), nullable=False, index=True),
    Column("auth_time", UTCDateTime, nullable=False),
    Column("seen_at", UTCDateTime, nullable=False, index=True),
    Column("expires_at", UTCDateTime, nullable=False, index=True),
    Column("amr", String(64), nullable=False),
    Column("acr", String(64), nullable=False),
    Column("least", String(64), nullable=False, server_default="urn:yinxin:acr:password"),
    Column("account", _UUID, index=True),
)

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", _UUID, primary_key=True),
    Column("digest", _DIGEST, nullable=False, unique=True),
    Column("user_id", _UUID, ForeignKey("users.id"), nullable=False, index=True),
    Column("name", String(64), nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False, index=True),
)

login_challenges = Table(
    "login_challenges",
    metadata,
    Column("nonce", String(64), primary_key=True),
    Column("browser", _DIGEST, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False, index=True),
    Column("used_at", UTCDateTime),
)

certificate_bindings = Table(
    "certificate_bindings",
    metadata,
    Column("id", _UUID, primary_key=True),
    Column("issuer", String(64), nullable=False),
    Column("subject_digest", _DIGEST, nullable=False),
    Column("user_id", _UUID, ForeignKey("users.id"), nullable=False, index=True),
    Column("created_at", UTCDateTime, nullable=False),
    Column("key_digest", _DIGEST),
    Column("serial", String(40)),
    UniqueConstraint("issuer", "subject_digest"),
)
