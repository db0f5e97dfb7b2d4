"""The status log, and the triggers that write it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Column, Connection, MetaData, String, Table, event, text

from ca import tables as _certificates  # noqa: F401 - the triggers are on its table
from core import audit_tables as _audit  # noqa: F401 - and lock a row of this one
from core.db import Sequence64, UTCDateTime, metadata

CHANNEL: Final = "yinxin_status"
"""PostgreSQL: notified of each revocation, hold and release, for who follows the log."""

status_log = Table(
    "status_log",
    metadata,
    Column("position", Sequence64, primary_key=True, autoincrement=True),
    # 64 random bits: who knows the mark of a position recognises an older copy of the database
    # that has gone on differently.
    Column("mark", Sequence64, nullable=False),
    Column("issuer", String(64), nullable=False),
    Column("serial", String(40), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(32), nullable=True),
    Column("revoked_at", UTCDateTime, nullable=True),
    Column("not_after", UTCDateTime, nullable=False),
    # By the database's clock; none for a certificate that was never revoked or held.
    Column("changed_at", UTCDateTime, nullable=True),
    # A position is never drawn twice, not even after rows were lost.
    sqlite_autoincrement=True,
)

# One writer at a time: positions are drawn in the order of commits.
SQLITE: Final = (
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
POSTGRESQL: Final = (
    """CREATE FUNCTION status_log_append() RETURNS trigger LANGUAGE plpgsql AS $$
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


@event.listens_for(metadata, "after_create")
def _make_triggers(
    _metadata: MetaData, connection: Connection, *, tables: Sequence[Table] = (), **_: Any
) -> None:
    """Make them with the tables; `yinxin/migrations` says the same of those that exist."""
    if status_log in tables:
        sqlite = connection.dialect.name == "sqlite"
        for statement in SQLITE if sqlite else POSTGRESQL:
            # As text: the driver would take the % of a message for a parameter.
            connection.execute(text(statement))
