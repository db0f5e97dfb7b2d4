"""Control of acts with no approvals asked for, unless a test says otherwise."""

from __future__ import annotations

from core.audit import AuditLog
from core.clock import Clock
from core.config import ControlConfig
from core.control import DualControl
from core.control_sql import SQLProposalStore
from core.db import Database


def make_control(
    database: Database, *, audit: AuditLog, clock: Clock, rules: ControlConfig | None = None
) -> DualControl:
    return DualControl(
        SQLProposalStore(database),
        config=ControlConfig() if rules is None else rules,
        transactions=database,
        audit=audit,
        clock=clock,
    )
