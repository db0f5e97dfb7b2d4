"""An index on revocation events by serial number."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_index(
        op.f("ix_revocation_events_issuer_serial_position"),
        "revocation_events",
        ["issuer", "serial", "position"],
        unique=False,
    )
