"""An index on revocation events by serial number."""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.create_index(
        op.f("ix_revocation_events_issuer_serial_position"),
        "revocation_events",
        ["issuer", "serial", "position"],
        unique=False,
    )
