"""Single logout: why an application was not told at the last attempt.

Expand: an older release leaves the column empty.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"


def upgrade() -> None:
    op.add_column("logout_deliveries", sa.Column("fault", sa.Text))


def downgrade() -> None:
    op.drop_column("logout_deliveries", "fault")
