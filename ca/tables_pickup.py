"""Rows of pick-ups. No code is in them, only digests."""

from __future__ import annotations

from sqlalchemy import Column, Integer, LargeBinary, String, Table, UniqueConstraint

from core.db import UTCDateTime, metadata

pickups = Table(
    "pickups",
    metadata,
    Column("request_id", String(32), primary_key=True),
    Column("reference_digest", LargeBinary(32), nullable=False),
    Column("code_digest", LargeBinary(32), nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False),
    Column("failures", Integer, nullable=False),
    UniqueConstraint("reference_digest"),
)
