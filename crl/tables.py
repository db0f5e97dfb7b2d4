"""Rows of the revocation service. Only `crl.sqlstore` reads and writes them."""

from __future__ import annotations

from sqlalchemy import Column, Integer, LargeBinary, PrimaryKeyConstraint, String, Table

from core.db import Sequence64, UTCDateTime, metadata

crl_numbers = Table(
    "crl_numbers",
    metadata,
    Column("scope", String(80), primary_key=True),
    Column("number", Sequence64, nullable=False),
)
"""The highest number drawn. Its row is the lock under which the CRLs of a scope are published."""

crls = Table(
    "crls",
    metadata,
    # `ca.distribution.Scope.name`
    Column("scope", String(80), nullable=False),
    Column("number", Sequence64, nullable=False),
    # Of a delta CRL: the number of the CRL that it adds to.
    Column("base", Sequence64, nullable=True),
    Column("this_update", UTCDateTime, nullable=False),
    Column("next_update", UTCDateTime, nullable=False),
    Column("position", Sequence64, nullable=False),
    Column("entries", Integer, nullable=False),
    # Empty when it was forgotten: the row stays until nobody can hold that CRL as valid.
    Column("der", LargeBinary, nullable=False),
    PrimaryKeyConstraint("scope", "number"),
)

crl_partitionings = Table(
    "crl_partitionings",
    metadata,
    Column("issuer", String(64), nullable=False),
    Column("partitions", Integer, nullable=False, autoincrement=False),
    Column("revocation_url", String(300), nullable=False),
    PrimaryKeyConstraint("issuer", "partitions", "revocation_url"),
)
"""What distribution points certificates were issued with, written before the first of them."""

crl_coverage = Table(
    "crl_coverage",
    metadata,
    Column("issuer", String(64), primary_key=True),
    Column("position", Sequence64, nullable=False),
)
"""How much of the log of revocations is in the segments."""

crl_segments = Table(
    "crl_segments",
    metadata,
    Column("issuer", String(64), nullable=False),
    Column("number", Integer, nullable=False, autoincrement=False),
    Column("position", Sequence64, nullable=False),
    Column("entries", Integer, nullable=False),
    Column("first_end", Sequence64, nullable=True),
    Column("lines", LargeBinary, nullable=False),
    Column("ends", LargeBinary, nullable=False),
    PrimaryKeyConstraint("issuer", "number"),
)
"""Encoded lines of CRLs, joined (`crl.entries`)."""

ocsp_delegates = Table(
    "ocsp_delegates",
    metadata,
    Column("issuer", String(64), nullable=False),
    Column("serial", String(40), nullable=False),
    Column("key", String(200), nullable=False),
    Column("algorithm", String(32), nullable=False),
    Column("certificate", LargeBinary, nullable=False),
    Column("not_before", UTCDateTime, nullable=False),
    Column("not_after", UTCDateTime, nullable=False),
    Column("destroyed_at", UTCDateTime, nullable=True),
    PrimaryKeyConstraint("issuer", "serial"),
)
