"""The status log: every change of what OCSP says, issuing included, in the order of commits.

Triggers write it, so that no status changes without it. Expand: an older release writes it too.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "status_log",
        sa.Column("position", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("mark", _NUMBER, nullable=False),
        sa.Column("issuer", sa.String(length=64), nullable=False),
        sa.Column("serial", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("not_after", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_status_log")),
        # A position is never drawn twice, not even after rows were lost.
        sqlite_autoincrement=True,
    )
    sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in _SQLITE if sqlite else _POSTGRESQL:
        op.execute(statement)
    mark = _SQLITE_MARK if sqlite else _POSTGRESQL_MARK
    op.execute(_BACKFILL.replace("{mark}", mark))


_BACKFILL = """INSERT INTO status_log
      (mark, issuer, serial, state, reason, revoked_at, not_after, changed_at)
    SELECT {mark}, issuer, serial, state, reason, revoked_at, not_after,
      (SELECT at FROM revocation_events AS e WHERE e.issuer = certificates.issuer
        AND e.serial = certificates.serial ORDER BY e.position DESC LIMIT 1)
    FROM certificates WHERE state IN ('issued', 'held', 'revoked') ORDER BY id"""
# 64 random bits: who knows the mark of a position recognises an older copy of the database that
# has gone on differently.
_SQLITE_MARK = "random()"
_POSTGRESQL_MARK = "('x' || substr(md5(gen_random_uuid()::text), 1, 16))::bit(64)::bigint"

_SQLITE = (
    """CREATE TRIGGER certificates_enter_status AFTER INSERT ON certificates
    WHEN NEW.state IN ('issued', 'held', 'revoked') BEGIN
    INSERT INTO status_log (mark, issuer, serial, state, reason, revoked_at, not_after)
    VALUES (random(), NEW.issuer, NEW.serial, NEW.state, NEW.reason, NEW.revoked_at, NEW.not_after);
    END""",
    """CREATE TRIGGER certificates_change_status AFTER UPDATE OF state, reason, revoked_at
    ON certificates WHEN NEW.state IN ('issued', 'held', 'revoked') AND (NEW.state <> OLD.state
      OR NEW.reason IS NOT OLD.reason OR NEW.revoked_at IS NOT OLD.revoked_at) BEGIN
    INSERT INTO status_log
      (mark, issuer, serial, state, reason, revoked_at, not_after, changed_at)
    VALUES (random(), NEW.issuer, NEW.serial, NEW.state, NEW.reason, NEW.revoked_at, NEW.not_after,
      CASE WHEN OLD.state <> 'reserved' THEN strftime('%Y-%m-%d %H:%M:%f000', 'now') END);
    END""",
    """CREATE TRIGGER status_log_stays_as_written BEFORE UPDATE ON status_log
    BEGIN SELECT RAISE(ABORT, 'the status log is never changed'); END""",
    """CREATE TRIGGER status_log_stays BEFORE DELETE ON status_log
    BEGIN SELECT RAISE(ABORT, 'the status log is never shortened'); END""",
)

# Every act locks the head of the audit chain until its commit, so the head orders this log, too:
# who has read a position has seen every one before it. The same lock, so that none waits for two.
_POSTGRESQL = (
    """CREATE FUNCTION status_log_append() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      PERFORM 1 FROM audit_head FOR UPDATE;
      INSERT INTO status_log
        (mark, issuer, serial, state, reason, revoked_at, not_after, changed_at)
      VALUES (('x' || substr(md5(gen_random_uuid()::text), 1, 16))::bit(64)::bigint,
        NEW.issuer, NEW.serial, NEW.state, NEW.reason, NEW.revoked_at, NEW.not_after,
        CASE WHEN TG_OP = 'UPDATE' AND OLD.state <> 'reserved' THEN now() END);
      RETURN NULL;
    END $$""",
    """CREATE TRIGGER certificates_enter_status AFTER INSERT ON certificates FOR EACH ROW
    WHEN (NEW.state IN ('issued', 'held', 'revoked')) EXECUTE FUNCTION status_log_append()""",
    """CREATE TRIGGER certificates_change_status AFTER UPDATE OF state, reason, revoked_at
    ON certificates FOR EACH ROW WHEN (NEW.state IN ('issued', 'held', 'revoked')
      AND (NEW.state <> OLD.state OR NEW.reason IS DISTINCT FROM OLD.reason
        OR NEW.revoked_at IS DISTINCT FROM OLD.revoked_at))
    EXECUTE FUNCTION status_log_append()""",
    """CREATE FUNCTION status_log_refuses() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      RAISE EXCEPTION 'the status log is append-only: % is refused', TG_OP
        USING ERRCODE = 'insufficient_privilege';
    END $$""",
    """CREATE TRIGGER status_log_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON status_log
    FOR EACH STATEMENT EXECUTE FUNCTION status_log_refuses()""",
)
