"""What browser sessions stand on."""

from __future__ import annotations

from sqlalchemy import Column, Index, String, Table

from core.db import metadata

session_certificates = Table(
    "session_certificates",
    metadata,
    Column("sid", String(36), primary_key=True),
    Column("issuer", String(64), primary_key=True),
    Column("serial", String(40), primary_key=True),
    Index("ix_session_certificates_issuer_serial", "issuer", "serial"),
)
