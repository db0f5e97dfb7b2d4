"""Rows of the registration authority: the tree of organisations, and who may do what in it."""

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
)

from core.db import Sequence64, UTCDateTime, metadata

organisations = Table(
    "organisations",
    metadata,
    Column("number", Sequence64, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False),
    Column("parent", String(32), ForeignKey("organisations.id"), nullable=True, index=True),
    Column("level", String(16), nullable=False),
    Column("name", String(200), nullable=False),
    Column("code", String(18), nullable=True),
    Column("created_at", UTCDateTime, nullable=False),
    Column("closed_at", UTCDateTime, nullable=True),
    UniqueConstraint("id"),
    UniqueConstraint("code"),
    CheckConstraint(
        "level IN ('province', 'city', 'county', 'department', 'unit')", name="level_known"
    ),
)

# There is one root, whoever starts at the same time.
Index(
    "uq_organisations_root",
    organisations.c.level,
    unique=True,
    sqlite_where=organisations.c.parent.is_(None),
    postgresql_where=organisations.c.parent.is_(None),
)

# Every pair of an organisation and what is above it, itself included: a subtree is one lookup.
organisation_closure = Table(
    "organisation_closure",
    metadata,
    Column("ancestor", String(32), ForeignKey("organisations.id"), primary_key=True),
    Column("descendant", String(32), ForeignKey("organisations.id"), primary_key=True),
)
Index(None, organisation_closure.c.descendant)

organisation_changes = Table(
    "organisation_changes",
    metadata,
    Column("number", Sequence64, primary_key=True, autoincrement=True),
    Column("organisation_id", String(32), ForeignKey("organisations.id"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("before", String(200), nullable=True),
    Column("after", String(200), nullable=True),
    Column("at", UTCDateTime, nullable=False),
    Column("actor", String(200), nullable=False),
    CheckConstraint("kind IN ('created', 'renamed', 'moved', 'closed')", name="kind_known"),
)
Index(None, organisation_changes.c.organisation_id, organisation_changes.c.number)

rights = Table(
    "rights",
    metadata,
    Column("number", Sequence64, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False),
    Column("operator", String(200), nullable=False),
    Column("organisation_id", String(32), ForeignKey("organisations.id"), nullable=False),
    # Words separated by spaces; NULL: all, those of later releases too.
    Column("profiles", Text, nullable=True),
    Column("operations", Text, nullable=True),
    Column("steps", String(32), nullable=False),
    Column("granted_by", String(200), nullable=False),
    Column("granted_at", UTCDateTime, nullable=False),
    UniqueConstraint("id"),
)
Index(None, rights.c.operator, rights.c.organisation_id)
Index(None, rights.c.organisation_id)

review_rules = Table(
    "review_rules",
    metadata,
    Column("number", Sequence64, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False),
    Column("operation", String(16), nullable=False),
    # "*": all; NULL would not be unique.
    Column("profile", String(64), nullable=False),
    Column("organisation_id", String(32), ForeignKey("organisations.id"), nullable=False),
    Column("review", Boolean, nullable=False),
    Column("make", Boolean, nullable=False),
    Column("set_by", String(200), nullable=False),
    Column("set_at", UTCDateTime, nullable=False),
    UniqueConstraint("id"),
    UniqueConstraint("organisation_id", "operation", "profile"),
)
