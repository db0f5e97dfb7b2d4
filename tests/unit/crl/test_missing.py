"""Numbers that the store does not have: one look at the log for all who ask meanwhile."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from core.errors import Unavailable
from crl.ocsp.missing import Missing


class Log:
    """Is read when the test says so."""

    def __init__(self) -> None:
        self.readings: list[Any] = []

    def peek(self, done: Any) -> None:
        self.readings.append(done)


def test_each_waits_for_a_reading_that_began_after_it_was_asked():
    log, told = Log(), []

    def go_on(served: Sequence[str], found: Collection[int] | Exception) -> None:
        told.append((list(served), found))

    missing: Missing[str] = Missing(log, go_on)  # type: ignore[arg-type]
    missing.ask("first")
    for name in ("second", "third"):
        missing.ask(name)
    (first,) = log.readings
    assert told == []
    first({7})
    # The next one began at once, for both.
    (_, second) = log.readings
    assert told == [(["first"], {7})]
    away = Unavailable("the database is away")
    second(away)
    assert told[1:] == [(["second", "third"], away)]
    assert len(log.readings) == 2
    missing.ask("fourth")
    log.readings[2](())
    assert told[2:] == [(["fourth"], ())]
