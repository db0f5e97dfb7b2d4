"""The events of one certificate, found by its serial number."""

from __future__ import annotations

from alembic import op

revision = "0017"
down_revision = "0016"

_INDEX = "ix_revocation_events_issuer_serial"


def upgrade() -> None:
    op.create_index(op.f(_INDEX), "revocation_events", ["issuer", "serial"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f(_INDEX), table_name="revocation_events")
