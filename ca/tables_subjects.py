"""Rows of the subjects: people, organisations and devices that certificates are for."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from core.db import Sequence64, UTCDateTime, metadata

subjects = Table(
    "subjects",
    metadata,
    Column("number", Sequence64, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("identifier_type", String(20), nullable=False),
    # Of an identity card or a passport: a keyed digest, and the last four characters beside it.
    Column("identifier", String(128), nullable=False),
    Column("identifier_tail", String(4), nullable=True),
    Column("organisation_id", String(32), ForeignKey("organisations.id"), nullable=False),
    Column("name", String(200), nullable=False),
    Column("email", String(254), nullable=True),
    # A JSON object of short texts.
    Column("contacts", Text, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("updated_at", UTCDateTime, nullable=False),
    UniqueConstraint("id"),
    # Kept once.
    UniqueConstraint("kind", "identifier_type", "identifier"),
    CheckConstraint("kind IN ('person', 'organisation', 'device')", name="kind_known"),
)
Index(None, subjects.c.organisation_id, subjects.c.number)
Index(None, subjects.c.name, subjects.c.number)

subject_moves = Table(
    "subject_moves",
    metadata,
    Column("number", Sequence64, primary_key=True, autoincrement=True),
    Column("subject_id", String(32), ForeignKey("subjects.id"), nullable=False),
    Column("before", String(32), ForeignKey("organisations.id"), nullable=True),
    Column("after", String(32), ForeignKey("organisations.id"), nullable=False),
    Column("at", UTCDateTime, nullable=False),
    Column("actor", String(200), nullable=False),
)
Index(None, subject_moves.c.subject_id, subject_moves.c.number)

# One row: the key of the identifiers' digests, encrypted to a key of the keystore.
identifier_key = Table(
    "identifier_key",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)
