"""The rows of identity sources."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, String, Table, UniqueConstraint

from core.db import UTCDateTime, metadata

external_identities = Table(
    "external_identities",
    metadata,
    Column("source", String(32), primary_key=True),
    # OIDC Core, 2: at most 255 characters.
    Column("subject", String(255), primary_key=True),
    Column("user_id", String(36), ForeignKey("users.id"), nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    UniqueConstraint("user_id", "source"),
)
