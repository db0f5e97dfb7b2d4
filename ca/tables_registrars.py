"""Rows of registration authorities that run apart: at the authority, and at their own desk."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from core.db import Sequence64, UTCDateTime, metadata

registrars = Table(
    "registrars",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("key", String(64), nullable=False),
    Column("organisation_id", String(32), ForeignKey("organisations.id"), nullable=False),
    Column("url", String(300), nullable=True),
    Column("created_at", UTCDateTime, nullable=False),
    UniqueConstraint("key"),
)

registrar_acts = Table(
    "registrar_acts",
    metadata,
    Column("registrar", String(64), primary_key=True),
    Column("act_id", String(32), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
)

desk_acts = Table(
    "desk_acts",
    metadata,
    Column("number", Sequence64, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("operation", String(16), nullable=False),
    Column("profile", String(64), nullable=True),
    Column("organisation_id", String(32), nullable=True),
    Column("body", Text, nullable=False),
    Column("requester", String(200), nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("decided_by", String(200), nullable=True),
    Column("decided_at", UTCDateTime, nullable=True),
    Column("comment", Text, nullable=True),
    Column("answered_at", UTCDateTime, nullable=True),
    Column("outcome", Text, nullable=True),
    Column("issuer", String(64), nullable=True),
    Column("serial", String(40), nullable=True),
    Column("keyless", Boolean, nullable=False, server_default=false()),
    Column("subject", Text, nullable=True),
    Column("not_after", UTCDateTime, nullable=True),
    Column("wanted", Text, nullable=True),
    Column("envelope", Text, nullable=True),
    UniqueConstraint("id"),
    CheckConstraint(
        "state IN ('pending', 'awaiting-pickup', 'sent', 'done', 'refused', 'rejected')",
        name="state_known",
    ),
)
Index(None, desk_acts.c.state, desk_acts.c.answered_at)
Index(None, desk_acts.c.issuer, desk_acts.c.serial)
