"""Rows of bulk requests: a batch and its items."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from core.db import Sequence64, UTCDateTime, metadata

bulk_batches = Table(
    "bulk_batches",
    metadata,
    Column("number", Sequence64, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("profile", String(64), nullable=False),
    Column("issuer", String(64), nullable=False),
    Column("key_algorithm", String(16), nullable=False),
    Column("label", String(200), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("requester", String(200), nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("needs_approval", Boolean, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False),
    Column("organisation_id", String(32), nullable=True),
    Column("recipient", LargeBinary, nullable=True),
    Column("data_key", LargeBinary, nullable=True),
    Column("decided_by", String(200), nullable=True),
    Column("decided_at", UTCDateTime, nullable=True),
    Column("comment", Text, nullable=True),
    Column("finished_at", UTCDateTime, nullable=True),
    Column("package_digest", String(64), nullable=True),
    Column("delivered_at", UTCDateTime, nullable=True),
    Column("delivered_to", String(200), nullable=True),
    # The lease of the worker that has it in hand.
    Column("holder", String(32), nullable=True),
    Column("held_until", UTCDateTime, nullable=True),
    Column("erased_at", UTCDateTime, nullable=True),
    UniqueConstraint("id"),
    CheckConstraint(
        "state IN ('checking', 'checked', 'pending', 'issuing', 'paused', 'cancelling', "
        "'cancelled', 'rejected', 'done')",
        name="state_known",
    ),
)
Index(None, bulk_batches.c.state, bulk_batches.c.number)
Index(None, bulk_batches.c.expires_at)

bulk_items = Table(
    "bulk_items",
    metadata,
    Column("batch_id", String(32), ForeignKey("bulk_batches.id"), primary_key=True),
    Column("row", Integer, primary_key=True, autoincrement=False),
    Column("request_id", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("source", Text, nullable=False),
    Column("content", Text, nullable=True),
    Column("spki", LargeBinary, nullable=True),
    Column("spki_fingerprint", String(64), nullable=True),
    Column("subject", Text, nullable=True),
    Column("reason", Text, nullable=True),
    Column("sealed", LargeBinary, nullable=True),
    UniqueConstraint("request_id"),
    CheckConstraint(
        "state IN ('new', 'asking', 'valid', 'bad', 'started', 'awaiting-pickup', 'issued', "
        "'failed', 'cancelled')",
        name="state_known",
    ),
)
Index(None, bulk_items.c.batch_id, bulk_items.c.state, bulk_items.c.row)
