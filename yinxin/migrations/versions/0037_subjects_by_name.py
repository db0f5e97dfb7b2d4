"""People and devices in the order of their names. Expand: an older release does not need it."""

from __future__ import annotations

from alembic import op

revision = "0037"
down_revision = "0036"


def upgrade() -> None:
    op.create_index("ix_subjects_name_number", "subjects", ["name", "number"])


def downgrade() -> None:
    op.drop_index("ix_subjects_name_number", table_name="subjects")
