"""Rows of the revocation service. Only `crl.sqlstore` reads and writes them."""

from __future__ import annotations

from sqlalchemy import Column, Integer, LargeBinary, PrimaryKeyConstraint, String, Table

from core.db import Sequence64, UTCDateTime, metadata

crl_numbers = Table(
    "crl_numbers",
    metadata,
    Column("issuer", String(64), primary_key=True),
    Column("number", Sequence64, nullable=False),
)
"""The highest number drawn. Its row is the lock under which an issuer's CRLs are published."""

crls = Table(
    "crls",
    metadata,
    Column("issuer", String(64), nullable=False),
    Column("number", Sequence64, nullable=False),
    Column("this_update", UTCDateTime, nullable=False),
    Column("next_update", UTCDateTime, nullable=False),
    Column("position", Sequence64, nullable=False),
    Column("entries", Integer, nullable=False),
    Column("der", LargeBinary, nullable=False),
    PrimaryKeyConstraint("issuer", "number"),
)

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
