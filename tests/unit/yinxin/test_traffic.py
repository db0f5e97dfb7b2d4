"""What a process was asked, minute by minute, and the chart of it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.observe import LOGINS
from tests.fakes.clock import FakeClock
from yinxin.console.chart import HEIGHT, WIDTH, bars
from yinxin.traffic import Traffic


def test_a_minute_holds_what_grew_since_the_one_before() -> None:
    clock = FakeClock()
    traffic = Traffic(clock=clock)
    LOGINS.labels("password", "good").inc(3)
    traffic.sample()
    clock.advance(minutes=1)
    traffic.sample()
    first, second = traffic.minutes()
    assert first.logins >= 3
    assert second.at - first.at == timedelta(minutes=1)
    assert second.logins == 0


@pytest.mark.parametrize("values", [[], [0], [0, 0], [1, 5, 2], list(range(24))])
def test_bars_stay_in_their_box(values: list[int]) -> None:
    chart = bars([(str(index), value) for index, value in enumerate(values)])
    assert chart.total == sum(values)
    assert len(chart.bars) == len(values)
    for bar in chart.bars:
        assert 0 <= bar.x <= bar.x + bar.width <= WIDTH
        assert 0 <= bar.y <= bar.y + bar.height <= HEIGHT
    assert len(chart.labels) == min(len(values), 3)
