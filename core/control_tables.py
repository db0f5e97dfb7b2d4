"""Rows of acts under control."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from core.db import Sequence64, UTCDateTime, metadata

proposals = Table(
    "proposals",
    metadata,
    Column("number", Sequence64, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False),
    Column("act", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("parameters", Text, nullable=False),
    # SHA-256 of act and parameters, to find one by exactly what it proposes.
    Column("digest", String(64), nullable=False),
    Column("summary", Text, nullable=False),
    Column("requester", String(200), nullable=False),
    Column("needed", Integer, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False),
    Column("decided_at", UTCDateTime, nullable=True),
    Column("outcome", Text, nullable=True),
    UniqueConstraint("id"),
    CheckConstraint(
        "state IN ('proposed', 'approved', 'executed', 'rejected', 'expired', 'failed')",
        name="state_known",
    ),
)
Index(None, proposals.c.state, proposals.c.number)
Index(None, proposals.c.digest)

proposal_approvals = Table(
    "proposal_approvals",
    metadata,
    Column("proposal_id", String(32), ForeignKey("proposals.id"), primary_key=True),
    Column("officer", String(200), primary_key=True),
    Column("at", UTCDateTime, nullable=False),
)
