"""Rows of publishing to a directory."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Integer, String, Table

from core.db import Sequence64, UTCDateTime, metadata

publication_positions = Table(
    "publication_positions",
    metadata,
    Column("name", String(80), primary_key=True),
    Column("position", Sequence64, nullable=False, autoincrement=False),
)

publication_faults = Table(
    "publication_faults",
    metadata,
    Column(
        "certificate_id",
        Sequence64,
        ForeignKey("certificates.id"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("error", String(200), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", UTCDateTime, nullable=False, index=True),
)
