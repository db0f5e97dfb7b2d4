"""The rows of accounts: for whom people act, who they are, what they may enter and allowed."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from core.db import UTCDateTime, metadata
from core.versions import count_versions

_UUID = String(36)

affiliations = Table(
    "affiliations",
    metadata,
    Column("id", _UUID, primary_key=True),
    Column("user_id", _UUID, ForeignKey("users.id"), nullable=False),
    Column("organisation", String(32), nullable=False, index=True),
    Column("capacity", String(32), nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("ends_at", UTCDateTime),
    UniqueConstraint("user_id", "organisation", "capacity"),
)

people = Table(
    "people",
    metadata,
    Column("user_id", _UUID, ForeignKey("users.id"), primary_key=True),
    Column("real_name_level", Integer, nullable=False),
    Column("verified_at", UTCDateTime, nullable=False),
    Column("verified_by", String(64), nullable=False),
    Column("identity_type", String(16)),
    # Keyed: it recognises a number and does not tell it (decision 0072).
    Column("identity_digest", String(64), unique=True),
    # Sealed: its holder may release it (decision 0142).
    Column("identity_sealed", LargeBinary),
)

# JSON: it is read and written whole, and never searched.
client_access = Table(
    "client_access",
    metadata,
    Column("client_id", String(64), primary_key=True),
    Column("policy", Text, nullable=False),
)
count_versions(client_access)

consents = Table(
    "consents",
    metadata,
    Column("user_id", _UUID, ForeignKey("users.id"), primary_key=True),
    Column("client_id", String(64), primary_key=True),
    # The affiliation in whose name; empty: the person's own.
    Column("account", String(36), primary_key=True),
    Column("scope", Text, nullable=False),
    Column("granted_at", UTCDateTime, nullable=False),
)
