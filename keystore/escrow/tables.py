"""Rows of the key management centre. No private key is in any of them but sealed."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from core.db import Sequence64, UTCDateTime, metadata

escrow_keys = Table(
    "escrow_keys",
    metadata,
    Column("number", Sequence64, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("algorithm", String(16), nullable=False, server_default="sm2"),
    Column("public_key", LargeBinary, nullable=False),
    Column("spki_fingerprint", String(64), nullable=False),
    Column("storage_key", String(300), nullable=False),
    Column("wrapped_key", LargeBinary, nullable=False),
    Column("ciphertext", LargeBinary, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    # One key a request, and one request a key: the database says so.
    Column("request_id", String(64), nullable=True),
    Column("signing_key", String(64), nullable=True),
    Column("assigned_at", UTCDateTime, nullable=True),
    Column("retired_at", UTCDateTime, nullable=True),
    Column("delivered_at", UTCDateTime, nullable=True),
    UniqueConstraint("id"),
    UniqueConstraint("spki_fingerprint"),
    UniqueConstraint("request_id"),
    CheckConstraint("state IN ('standby', 'in-use', 'history')", name="state_known"),
    CheckConstraint(
        "(state = 'standby') = (request_id IS NULL) AND (state = 'standby') = (assigned_at IS NULL)"
        " AND (state = 'history') = (retired_at IS NOT NULL)",
        name="state_fits",
    ),
)
Index(None, escrow_keys.c.algorithm, escrow_keys.c.state, escrow_keys.c.number)

escrow_identities = Table(
    "escrow_identities",
    metadata,
    Column("spki_fingerprint", String(64), primary_key=True),
    Column("certificate", LargeBinary, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
)

escrow_recoveries = Table(
    "escrow_recoveries",
    metadata,
    Column("number", Sequence64, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("key_id", String(32), ForeignKey("escrow_keys.id"), nullable=False, index=True),
    Column("recipient", LargeBinary, nullable=False),
    Column("reason", Text, nullable=False),
    Column("requester", String(200), nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False),
    Column("rejected_by", String(200), nullable=True),
    Column("delivered_at", UTCDateTime, nullable=True),
    UniqueConstraint("id"),
    CheckConstraint(
        "state IN ('requested', 'approved', 'delivered', 'rejected')", name="state_known"
    ),
    CheckConstraint("kind IN ('user', 'judicial')", name="kind_known"),
)

escrow_approvals = Table(
    "escrow_approvals",
    metadata,
    Column("recovery_id", String(32), ForeignKey("escrow_recoveries.id"), primary_key=True),
    Column("officer", String(200), primary_key=True),
    Column("at", UTCDateTime, nullable=False),
)
