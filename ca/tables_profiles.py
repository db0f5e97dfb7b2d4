"""Rows of certificate profiles that were decided; the newest of a name is in force."""

from __future__ import annotations

from sqlalchemy import Column, Index, String, Table, Text

from core.db import Sequence64, UTCDateTime, metadata

profile_versions = Table(
    "profile_versions",
    metadata,
    Column("number", Sequence64, primary_key=True, autoincrement=True),
    Column("name", String(64), nullable=False),
    Column("text", Text, nullable=False),
    Column("proposal", String(32), nullable=False),
    Column("actor", String(200), nullable=False),
    Column("at", UTCDateTime, nullable=False),
)
Index(None, profile_versions.c.name, profile_versions.c.number)
