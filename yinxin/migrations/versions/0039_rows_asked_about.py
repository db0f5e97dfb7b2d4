"""Bulk requests at registration authorities: rows that the certificate authority is asked about.

Expand: an older release goes on working on this table.
"""

from __future__ import annotations

from alembic import op

revision = "0039"
down_revision = "0038"

_STATE_KNOWN = "ck_bulk_items_state_known"
_OLD_STATES = "state IN ('new', 'valid', 'bad', 'started', 'awaiting-pickup', 'issued', 'failed', 'cancelled')"
_STATES = "state IN ('new', 'asking', 'valid', 'bad', 'started', 'awaiting-pickup', 'issued', 'failed', 'cancelled')"


def upgrade() -> None:
    _replace_check(_STATES)


def downgrade() -> None:
    # As before: the authority is heard when it is asked to issue.
    op.execute("UPDATE bulk_items SET state = 'valid' WHERE state = 'asking'")
    _replace_check(_OLD_STATES)


def _replace_check(states: str) -> None:
    with op.batch_alter_table("bulk_items") as batch:
        if op.get_bind().dialect.name == "postgresql":
            # On SQLite the copy of the table leaves the old check behind by itself.
            batch.drop_constraint(op.f(_STATE_KNOWN), type_="check")
        batch.create_check_constraint(op.f(_STATE_KNOWN), states)
