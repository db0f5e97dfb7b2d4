"""Rows of revoking many certificates, and of keys that are never certified again."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from core.db import Sequence64, UTCDateTime, metadata

blocked_keys = Table(
    "blocked_keys",
    metadata,
    Column("number", Sequence64, primary_key=True, autoincrement=True),
    Column("spki_fingerprint", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("blocked_at", UTCDateTime, nullable=False),
    UniqueConstraint("spki_fingerprint"),
)

mass_revocations = Table(
    "mass_revocations",
    metadata,
    Column("number", Sequence64, primary_key=True, autoincrement=True),
    # Of the proposal that asked for it.
    Column("id", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("selection", Text, nullable=False),
    Column("reason", String(32), nullable=False),
    Column("actor", String(200), nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("finished_at", UTCDateTime, nullable=True),
    # Everything up to this certificate is done.
    Column("position", Sequence64, nullable=False),
    Column("expected", Integer, nullable=False),
    Column("revoked", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
    UniqueConstraint("id"),
    CheckConstraint("state IN ('running', 'done')", name="state_known"),
)
Index(None, mass_revocations.c.state, mass_revocations.c.number)
