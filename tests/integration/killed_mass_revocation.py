"""A child process that works off a mass revocation on SQLite and kills itself at one step."""

from __future__ import annotations

import os
import signal

from ca import massrevocation
from ca.massrevocation import MassRevocations
from ca.profiles import load_profiles
from ca.revocation import RevocationService
from ca.sqlmassrevocation import SQLMassRevocationStore
from ca.sqlstore import SQLCertificateStore
from core.audit_sql import SQLAuditLog
from core.clock import Clock, SystemClock
from core.db import Database, open_database
from tests.fakes.control import make_control
from yinxin.massrevocation import open_blocked_keys, open_mass_revocations
from yinxin.settings import load_settings

STEPS = ("inside the second batch", "after the second batch")


def open_mass(database: Database, clock: Clock) -> MassRevocations:
    audit = SQLAuditLog(database, clock=clock)
    revocation = RevocationService(
        store=SQLCertificateStore(database), transactions=database, audit=audit, clock=clock
    )
    return open_mass_revocations(
        database,
        revocation,
        open_blocked_keys(database, load_settings(None).ca, audit=audit, clock=clock),
        profiles=load_profiles(),
        control=make_control(database, audit=audit, clock=clock),
        audit=audit,
        clock=clock,
    )


def main(url: str, step: str) -> None:
    mass = open_mass(open_database(url), SystemClock())
    massrevocation.BATCH = 5
    owner, name = {
        "inside the second batch": (SQLMassRevocationStore, "move_mass_revocation"),
        "after the second batch": (RevocationService, "_tell"),
    }[step]
    real, calls = getattr(owner, name), []

    def call(*arguments) -> None:
        real(*arguments)
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, call)
    mass.run()
