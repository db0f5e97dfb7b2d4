"""Rows of expiry notices."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
)

from core.db import Sequence64, UTCDateTime, metadata

notices = Table(
    "notices",
    metadata,
    Column("id", Sequence64, primary_key=True, autoincrement=True),
    Column("certificate_id", Sequence64, ForeignKey("certificates.id"), nullable=False),
    Column("days", Integer, nullable=False),
    Column("channel", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", UTCDateTime, nullable=False),
    Column("sent_at", UTCDateTime, nullable=True),
    Column("error", String(200), nullable=True),
    # At most one notice of a kind, whatever crashes: the database says so.
    UniqueConstraint("certificate_id", "days", "channel"),
    CheckConstraint("state IN ('waiting', 'sent', 'dropped')", name="state_known"),
)
Index(None, notices.c.state, notices.c.channel, notices.c.due_at)

notice_scans = Table(
    "notice_scans",
    metadata,
    Column("days", Integer, primary_key=True, autoincrement=False),
    Column("not_after", UTCDateTime, nullable=False),
    Column("certificate_id", Sequence64, nullable=False),
)
