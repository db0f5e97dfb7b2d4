"""Counting at most once a minute."""

from __future__ import annotations

from datetime import datetime

from ca.overview import Overview, Overviews, Scope
from tests.fakes.clock import FakeClock


class Counting:
    """Counts how often it is asked, and for what."""

    def __init__(self) -> None:
        self.asked: list[Scope] = []

    def overview(self, scope: Scope, *, now: datetime) -> Overview:
        self.asked.append(scope)
        return Overview(now, len(self.asked), 0, 0, 0, {})


def test_the_same_branches_are_counted_once_a_minute() -> None:
    clock, source = FakeClock(), Counting()
    overviews = Overviews(source, clock=clock)
    first = overviews.of(None)
    clock.advance(seconds=59)
    assert overviews.of(None) is first
    assert overviews.of(frozenset(["a"])) is not first
    clock.advance(seconds=1)
    assert overviews.of(None).at == clock.now()
    assert source.asked == [None, frozenset(["a"]), None]


def test_a_clock_that_was_set_back_does_not_keep_a_count() -> None:
    clock, source = FakeClock(), Counting()
    overviews = Overviews(source, clock=clock)
    overviews.of(None)
    clock.advance(hours=-1)
    assert overviews.of(None).at == clock.now()
