"""PostgreSQL wakes who follows the status log, at each revocation, hold and release.

Expand: an older release does not listen.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0034"
down_revision = "0033"

_APPEND = """CREATE OR REPLACE FUNCTION status_log_append() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      PERFORM 1 FROM audit_head FOR UPDATE;
      INSERT INTO status_log
        (mark, issuer, serial, state, reason, revoked_at, not_after, changed_at)
      VALUES (('x' || substr(md5(gen_random_uuid()::text), 1, 16))::bit(64)::bigint,
        NEW.issuer, NEW.serial, NEW.state, NEW.reason, NEW.revoked_at, NEW.not_after,
        CASE WHEN TG_OP = 'UPDATE' AND OLD.state <> 'reserved' THEN now() END);
      IF TG_OP = 'UPDATE' AND OLD.state <> 'reserved' THEN
        PERFORM pg_notify('yinxin_status', '');
      END IF;
      RETURN NULL;
    END $$"""


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(text(_APPEND))
