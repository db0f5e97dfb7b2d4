"""Rows of the authority."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from core.db import Sequence64, UTCDateTime, metadata

certificates = Table(
    "certificates",
    metadata,
    Column("id", Sequence64, primary_key=True, autoincrement=True),
    Column("issuer", String(64), nullable=False),
    Column("serial", String(40), nullable=False),
    Column("state", String(16), nullable=False),
    Column("profile", String(64), nullable=False),
    Column("subject", Text, nullable=False),
    Column("not_before", UTCDateTime, nullable=False),
    Column("not_after", UTCDateTime, nullable=False),
    Column("tbs", LargeBinary, nullable=False),
    Column("der", LargeBinary, nullable=True),
    Column("fingerprint", String(64), nullable=True),
    Column("spki_fingerprint", String(64), nullable=False),
    Column("requester", String(200), nullable=False),
    # At most one certificate a request, whatever crashes: the database says so.
    Column("request_id", String(128), nullable=True),
    Column("organisation_id", String(32), nullable=True),
    Column("subject_id", String(32), nullable=True),
    Column("reserved_at", UTCDateTime, nullable=False),
    Column("issued_at", UTCDateTime, nullable=True),
    Column("interrupted_at", UTCDateTime, nullable=True),
    Column("revoked_at", UTCDateTime, nullable=True),
    Column("reason", String(32), nullable=True),
    UniqueConstraint("issuer", "serial"),
    UniqueConstraint("request_id"),
    CheckConstraint(
        "state IN ('reserved', 'issued', 'failed', 'held', 'revoked')", name="state_known"
    ),
    CheckConstraint(
        "(state IN ('held', 'revoked')) = (revoked_at IS NOT NULL AND reason IS NOT NULL)",
        name="revoked_has_reason",
    ),
)
Index(None, certificates.c.issuer, certificates.c.state, certificates.c.revoked_at)
# What is counted of states and ends is read from this alone.
Index(
    None,
    certificates.c.state,
    certificates.c.not_after,
    certificates.c.organisation_id,
    certificates.c.profile,
)
# Lists are read newest first, a page at a time: each filter has an index that ends in the id.
Index(None, certificates.c.issuer, certificates.c.id)
Index(None, certificates.c.issuer, certificates.c.state, certificates.c.id)
Index(None, certificates.c.state, certificates.c.id)
Index(None, certificates.c.profile, certificates.c.id)
Index(None, certificates.c.requester, certificates.c.id)
Index(None, certificates.c.organisation_id, certificates.c.id)
Index(None, certificates.c.subject_id, certificates.c.id)
Index(None, certificates.c.not_after, certificates.c.id)
Index(None, certificates.c.serial)
Index(None, certificates.c.fingerprint)
Index(None, certificates.c.spki_fingerprint)

certificate_terms = Table(
    "certificate_terms",
    metadata,
    # Ordered by code point on both databases, so that a prefix is a range.
    Column(
        "term",
        String(32).with_variant(String(32, collation="C"), "postgresql"),
        primary_key=True,
    ),
    Column("certificate_id", Sequence64, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

issuers = Table(
    "issuers",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("parent", String(64), nullable=True),
    Column("key_ref", String(300), nullable=False),
    Column("signature_algorithm", String(32), nullable=False),
    Column("certificate", LargeBinary, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    # The next generation of another issuer, and from when on it signs (docs/ceremony.md).
    Column("succeeds", String(64), nullable=True),
    Column("takes_over_at", UTCDateTime, nullable=True),
)

outside_certificates = Table(
    "outside_certificates",
    metadata,
    Column("issuer", String(64), primary_key=True),
    Column("fingerprint", String(64), primary_key=True),
    Column("kind", String(8), nullable=False),
    Column("position", Integer, nullable=False),
    Column("certificate", LargeBinary, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    CheckConstraint("kind IN ('above', 'cross')", name="kind_known"),
)

revocation_positions = Table(
    "revocation_positions",
    metadata,
    Column("issuer", String(64), primary_key=True),
    Column("position", Sequence64, nullable=False, autoincrement=False),
)

revocation_events = Table(
    "revocation_events",
    metadata,
    Column("issuer", String(64), primary_key=True),
    Column("position", Sequence64, primary_key=True, autoincrement=False),
    Column("serial", String(40), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(32), nullable=True),
    Column("at", UTCDateTime, nullable=False),
    Column("actor", String(200), nullable=False),
)

# The last event of a serial number: the history of a certificate, and the re-audit.
Index(None, revocation_events.c.issuer, revocation_events.c.serial, revocation_events.c.position)

enrollment_requests = Table(
    "enrollment_requests",
    metadata,
    Column("number", Sequence64, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("issuer", String(64), nullable=False),
    Column("profile", String(64), nullable=False),
    Column("content", Text, nullable=False),
    Column("needs_approval", Boolean, nullable=False),
    Column("requester", String(200), nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("decided_by", String(200), nullable=True),
    Column("decided_at", UTCDateTime, nullable=True),
    Column("comment", Text, nullable=True),
    Column("operation", String(16), nullable=False, server_default="apply"),
    Column("needs_make", Boolean, nullable=False, server_default=false()),
    # The key comes later: at the make step, or from the subscriber at the pick-up.
    Column("keyless", Boolean, nullable=False, server_default=false()),
    Column("made_by", String(200), nullable=True),
    Column("made_at", UTCDateTime, nullable=True),
    Column("organisation_id", String(32), nullable=True),
    Column("subject_id", String(32), nullable=True),
    # The certificate that is acted upon, or replaced.
    Column("target_issuer", String(64), nullable=True),
    Column("target_serial", String(40), nullable=True),
    Column("target_request", String(32), nullable=True),
    Column("reason", String(32), nullable=True),
    # Frozen first and reviewed afterwards.
    Column("provisional", Boolean, nullable=False, server_default=false()),
    # issuer/serial of a certificate that this one replaces: the database says "once".
    Column("replaces", String(105), nullable=True),
    # What is still to be done to the certificate that was replaced; NULL: nothing.
    Column("follow_up", String(16), nullable=True),
    # The user who asked for it in the portal, for themselves.
    Column("owner", String(36), nullable=True),
    UniqueConstraint("id"),
    CheckConstraint(
        "state IN ('pending', 'reviewed', 'awaiting-pickup', 'approved', 'done', 'rejected')",
        name="state_known",
    ),
)
Index(None, enrollment_requests.c.state, enrollment_requests.c.created_at)
Index(None, enrollment_requests.c.target_issuer, enrollment_requests.c.target_serial)
Index(None, enrollment_requests.c.replaces, unique=True)
Index(None, enrollment_requests.c.follow_up)
Index(
    "ix_enrollment_requests_owner",
    enrollment_requests.c.owner,
    sqlite_where=enrollment_requests.c.owner.is_not(None),
    postgresql_where=enrollment_requests.c.owner.is_not(None),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("caller", String(200), primary_key=True),
    Column("key", String(128), primary_key=True),
    Column("body_hash", String(64), nullable=False),
    Column("request_id", String(32), nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
)

key_pairs = Table(
    "key_pairs",
    metadata,
    # Of the enrollment request; both certificates name it (`ca.requests.partner_request_id`).
    Column("request_id", String(32), primary_key=True),
    Column("key_id", String(32), nullable=False),
    Column("enveloped", LargeBinary, nullable=False),
    Column("temporary_key", LargeBinary, nullable=True),
    Column("created_at", UTCDateTime, nullable=False),
    Column("retired_at", UTCDateTime, nullable=True),
    UniqueConstraint("key_id"),
)
Index(None, key_pairs.c.retired_at)
