"""Small bar charts as SVG, made here: no script, no style attribute.

The drawing is stretched to the width it has; so labels are text of the page, below it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 600
HEIGHT: Final = 100
_SHARE: Final = 0.8
"""Of its place that a bar fills."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, in the units of the view box."""

    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars from left to right, what the tallest stands for, and three labels to go below."""

    bars: tuple[Bar, ...]
    most: int
    total: int
    labels: tuple[str, ...]
    """Of the first bar, the middle one and the last."""


def bars(points: Sequence[tuple[str, int]]) -> Chart:
    """Draw (label, value) pairs. Give every place of the axis, those with nothing too."""
    if not points:
        return Chart((), 0, 0, ())
    most = max(value for _, value in points)
    place = WIDTH / len(points)
    drawn = []
    for index, (label, value) in enumerate(points):
        height = HEIGHT * value / most if most else 0.0
        drawn.append(
            Bar(
                x=round((index + (1 - _SHARE) / 2) * place, 2),
                y=round(HEIGHT - height, 2),
                width=round(_SHARE * place, 2),
                height=round(height, 2),
                title=f"{label}: {value}",
            )
        )
    shown = sorted({0, len(points) // 2, len(points) - 1})
    labels = tuple(points[index][0] for index in shown)
    return Chart(tuple(drawn), most, sum(value for _, value in points), labels)
