"""Codes: who the person is to the client, if that hears of logouts.

Expand: codes of an older release have none, and are redeemed the longer way.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"


def upgrade() -> None:
    op.add_column("oidc_codes", sa.Column("subject", sa.String(255)))


def downgrade() -> None:
    op.drop_column("oidc_codes", "subject")
