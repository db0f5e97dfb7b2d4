"""When the key of a delegated OCSP responder was destroyed.

Expand: an older release does not look at this column; a responder whose key is gone has ended.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.add_column(
        "ocsp_delegates",
        sa.Column("destroyed_at", sa.DateTime(timezone=True), nullable=True),
    )
