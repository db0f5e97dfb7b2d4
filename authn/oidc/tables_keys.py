"""The signing keys of the provider: names and times. The keys are in the keystore."""

from __future__ import annotations

from sqlalchemy import Column, String, Table

from core.db import UTCDateTime, metadata

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("ref", String(300), primary_key=True),
    Column("algorithm", String(16), nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("signs_from", UTCDateTime, nullable=False),
    Column("signs_until", UTCDateTime),
    Column("gone_at", UTCDateTime),
    Column("destroyed_at", UTCDateTime),
)
