"""Rows of the audit chain."""

from __future__ import annotations

from sqlalchemy import Column, Integer, LargeBinary, String, Table, Text

from core.db import Sequence64, UTCDateTime, metadata

audit_events = Table(
    "audit_events",
    metadata,
    Column("sequence", Sequence64, primary_key=True, autoincrement=False),
    Column("at", UTCDateTime, nullable=False),
    Column("action", String(64), nullable=False),
    Column("actor", String(200), nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous", LargeBinary(32), nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("sequence", Sequence64, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
)

audit_checkpoints = Table(
    "audit_checkpoints",
    metadata,
    Column("sequence", Sequence64, primary_key=True, autoincrement=False),
    Column("at", UTCDateTime, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    Column("signature", LargeBinary, nullable=False),
)

audit_exports = Table(
    "audit_exports",
    metadata,
    Column("target", String(32), primary_key=True),
    # The last row and the last checkpoint that are off the box.
    Column("sequence", Sequence64, nullable=False),
    Column("checkpoint", Sequence64, nullable=False),
)
