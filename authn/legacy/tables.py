"""The rows of the older protocols. Digests are SHA-256 of secrets; no secret has a column."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, LargeBinary, String, Table, Text

from core.db import UTCDateTime, metadata

_UUID = String(36)
_DIGEST = LargeBinary(32)

tickets = Table(
    "entry_tickets",
    metadata,
    Column("digest", _DIGEST, primary_key=True),
    Column("client_id", String(64), nullable=False),
    Column("address", Text, nullable=False),
    Column("user_id", _UUID, nullable=False),
    Column("sid", _UUID, nullable=False, index=True),
    Column("auth_time", UTCDateTime, nullable=False),
    Column("fresh", Boolean, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False, index=True),
)

gate_passes = Table(
    "gate_passes",
    metadata,
    Column("digest", _DIGEST, primary_key=True),
    Column("client_id", String(64), nullable=False),
    Column("user_id", _UUID, nullable=False),
    Column("sid", _UUID, nullable=False, index=True),
    Column("expires_at", UTCDateTime, nullable=False, index=True),
)
"""What a browser shows to an application behind a proxy (`authn.legacy.gate`)."""
