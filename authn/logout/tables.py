"""The rows of single logout."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, String, Table, Text

from core.db import Sequence64, UTCDateTime, metadata

_UUID = String(36)

participations = Table(
    "session_applications",
    metadata,
    Column("sid", _UUID, primary_key=True),
    Column("client_id", String(64), primary_key=True),
    Column("ticket", String(64), primary_key=True),
    Column("channel", String(8), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("backchannel_uri", Text),
    Column("frontchannel_uri", Text),
)

deliveries = Table(
    "logout_deliveries",
    metadata,
    Column("id", Sequence64, primary_key=True, autoincrement=True),
    Column("sid", _UUID, nullable=False),
    Column("client_id", String(64), nullable=False),
    Column("ticket", String(64), nullable=False),
    Column("channel", String(8), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("uri", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("due_at", UTCDateTime, nullable=False, index=True),
    Column("fault", Text),
    Index("ix_logout_deliveries_client_id_due_at", "client_id", "due_at"),
)
