"""Checks of what every host has: database, audit, disk, clock, administrators, control."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import func, select, text

from core.audit_tables import audit_checkpoints, audit_events
from core.control_store import Act
from core.identity import Role
from yinxin.health.findings import Check, Fault, Level
from yinxin.state import HostRole, role_of
from yinxin.wiring import Ground

_CLOCK_SKEW: Final = timedelta(seconds=5)
_MEGABYTE: Final = 1 << 20
_ACTS_OF: Final = {
    HostRole.KM: (Act.ROLE_CHANGE, Act.CREDENTIAL),
    HostRole.RA: (Act.ROLE_CHANGE, Act.RIGHT_CHANGE, Act.CREDENTIAL),
}
"""What can be done under control where no certificates are issued; elsewhere everything."""


def _database(ground: Ground) -> Sequence[Fault]:
    ground.audit.list_events(limit=1)
    return ()


def _checkpoint(ground: Ground) -> Sequence[Fault]:
    """Look for events that no checkpoint covers, though one was due long ago."""
    late = ground.clock.now() - timedelta(
        seconds=10 * ground.settings.audit.checkpoint_seconds + 60
    )
    with ground.database.reading() as connection:
        covered = connection.execute(select(func.max(audit_checkpoints.c.sequence))).scalar()
        oldest = connection.execute(
            select(audit_events.c.at)
            .where(audit_events.c.sequence > (covered or 0))
            .order_by(audit_events.c.sequence)
            .limit(1)
        ).scalar()
    if oldest is None or oldest >= late:
        return ()
    says = f"no checkpoint signs what was recorded since {_text(oldest)}"
    return (Fault(Level.WARNING, says),)


def _disk(ground: Ground) -> Sequence[Fault]:
    usage = shutil.disk_usage(ground.state.directory)
    percent = 100 * usage.free / usage.total
    says = f"{usage.free // _MEGABYTE} MiB free ({percent:.0f} %) in {ground.state.directory}"
    if usage.free < 200 * _MEGABYTE or percent < 2:
        return (Fault(Level.CRITICAL, says),)
    if percent < ground.settings.health.disk_warning_percent:
        return (Fault(Level.WARNING, says),)
    return ()


def _clock(ground: Ground) -> Sequence[Fault]:
    """Compare our clock with the database server's, and with the newest event."""
    now = ground.clock.now()
    with ground.database.reading() as connection:
        newest = connection.execute(
            select(audit_events.c.at).order_by(audit_events.c.sequence.desc()).limit(1)
        ).scalar()
        there: datetime | None = None
        if connection.dialect.name == "postgresql":
            there = connection.execute(text("SELECT clock_timestamp()")).scalar()
    if newest is not None and newest > now + _CLOCK_SKEW:
        says = f"it is {_text(now)} here, and an event was recorded at {_text(newest)}"
        return (Fault(Level.CRITICAL, says),)
    if there is not None and abs(there.astimezone(UTC) - now) > _CLOCK_SKEW:
        says = f"it is {_text(now)} here, and {_text(there.astimezone(UTC))} in the database"
        return (Fault(Level.WARNING, says),)
    return ()


def _administrators(ground: Ground) -> Sequence[Fault]:
    """Look whether somebody can act in each line, and whether two can watch one another."""
    faults = []
    users = ground.administration.users.list_users()
    centre = role_of(ground.state) is HostRole.KM
    acting = Role.KEY if centre else Role.BUSINESS
    needed = ground.settings.key_management.recovery_approvals if centre else 2
    for role in (Role.SYSTEM, acting, Role.AUDIT):
        ready = [
            one for one in users if one.role is role and one.password_hash and not one.disabled
        ]
        if not ready:
            faults.append(Fault(Level.WARNING, f"no {role} administrator has set a password"))
        elif len(ready) < needed and role is acting:
            act = "approve a recovery" if centre else "review"
            says = f"{role} administrators with a password: {len(ready)}, and to {act} it needs "
            faults.append(Fault(Level.WARNING, f"{says}{needed}"))
    return faults


def _control(ground: Ground) -> Sequence[Fault]:
    here = _ACTS_OF.get(role_of(ground.state) or HostRole.CA, tuple(Act))
    alone = [act.value for act in here if ground.control.rule(act).approvals == 0]
    faults = []
    if alone:
        faults.append(Fault(Level.WARNING, f"one person alone can do: {', '.join(alone)}"))
    reviews = role_of(ground.state) is not HostRole.KM
    if reviews and not ground.settings.ca.separate_approver:
        says = "a requester may approve the own request (ca.separate_approver)"
        faults.append(Fault(Level.WARNING, says))
    return faults


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


HOST_CHECKS: Final[tuple[Check[Ground], ...]] = (
    Check(
        "database",
        "whether rows can be read",
        "Start the database, or free its disk; `database.url` says where it is.",
        _database,
    ),
    Check(
        "audit-checkpoint",
        "whether checkpoints sign the audit log as it grows",
        "Look for `job failed` with `audit-checkpoint` in the log: the audit key or the database "
        "is out of reach, or no service runs.",
        _checkpoint,
    ),
    Check(
        "disk-space",
        "what is free where the state directory is",
        "Make room before it is full: issuing stops when the audit log cannot be written.",
        _disk,
    ),
    Check(
        "clock",
        "our clock beside the newest event and the database server's clock",
        "Set up time synchronisation on every host; do not issue before the clocks agree.",
        _clock,
    ),
    Check(
        "administrators",
        "whether each line has somebody who can act, and reviewing has two",
        "`yinxin user create` another administrator, or send a set-up link again "
        "(`yinxin user setup-link`).",
        _administrators,
    ),
    Check(
        "control",
        "whether acts that concern everybody need more than one person",
        "Set `approvals` to 1 or more under `[control.…]`, and `ca.separate_approver = true`.",
        _control,
    ),
)
