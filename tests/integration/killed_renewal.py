"""A child process that renews a pair on SQLite and kills itself at one step."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from ca.operations import Operation
from ca.replacement import Replacement, ReplacementService
from ca.revocation import RevocationService
from ca.settlement import Settlement
from ca.sqlrequests import SQLRequestStore
from core.clock import Clock, SystemClock
from tests.integration import killed_pair

STEPS = (
    "inside the assignment",
    "after reserve",
    "between the two signatures",
    "inside the completing transaction",
    "before the settlement",
    "after the old key is retired",
)


class Service(killed_pair.Service):
    """The authority of `killed_pair`, which renews at any time and settles what follows."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        super().__init__(directory, clock)
        profile = self.profiles["device-dual-signing"]
        self.profiles[profile.name] = profile.model_copy(update={"renewal_window_days": 36_600})
        requests = SQLRequestStore(self.database)
        common = {"transactions": self.database, "audit": self.audit, "clock": clock}
        self.settlement = Settlement(
            requests,
            certificates=self.store,
            revocation=RevocationService(store=self.store, **common),
            pairs=self.km.pairs,
        )
        self.enrollment._settle = self.settlement.settle
        self.replacements = ReplacementService(
            self.enrollment,
            profiles=self.profiles,
            certificates=self.store,
            requests=requests,
            clock=clock,
        )


def main(directory: Path, step: str) -> None:
    service = Service(directory, SystemClock())
    service.km.centre.refill()
    old = service.enrollment.approve(service.submit("holder"), actor="bob")
    assert old.serial is not None
    renewal = service.replacements.replace(
        "issuing", old.serial, Replacement(Operation.RENEW), actor="alice"
    )
    (directory / "request").write_text(f"{old.id} {renewal.id}")
    if step == "before the settlement":
        service.enrollment._settle = lambda record: record.serial and _die()
    elif step == "after the old key is retired":
        service.km.pairs._pairs.mark_retired = lambda *_, **__: _die()  # type: ignore[method-assign]
    else:
        killed_pair._arm(step, service)
    service.enrollment.approve(renewal.id, actor="bob")


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
