"""Small bar charts as SVG, made here: no script, no style attribute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 600
HEIGHT: Final = 120
_FOOT: Final = 16
_GAP: Final = 1


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, in the units of the view box."""

    x: float
    y: float
    width: float
    height: float
    title: str
    label: str
    """Below the bar; most have none."""


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars from left to right, and what the tallest stands for."""

    bars: tuple[Bar, ...]
    most: int
    total: int


def bars(points: Sequence[tuple[str, int]], *, labels: int = 6) -> Chart:
    """Draw (label, value) pairs; about `labels` of the labels are written."""
    if not points:
        return Chart((), 0, 0)
    most = max(value for _, value in points)
    width = WIDTH / len(points)
    every = max(1, -(-len(points) // labels))
    drawn = []
    for index, (label, value) in enumerate(points):
        height = (HEIGHT - _FOOT) * value / most if most else 0.0
        drawn.append(
            Bar(
                x=round(index * width, 2),
                y=round(HEIGHT - _FOOT - height, 2),
                width=round(max(width - _GAP, 0.5), 2),
                height=round(height, 2),
                title=f"{label}: {value}",
                label=label if index % every == 0 else "",
            )
        )
    return Chart(tuple(drawn), most, sum(value for _, value in points))
