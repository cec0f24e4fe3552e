"""Measured points with their intervals along a line, as plain SVG: quality by generation, quality by labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steelyard.server.pages.scales import Scale, path_of

SIZES: Mapping[str, tuple[int, int]] = {"wide": (560, 250), "narrow": (330, 220)}
LEFT, RIGHT, TOP, BOTTOM = 46.0, 18.0, 16.0, 38.0
ROOM = 0.02
"""Share above and below the intervals that is left free."""

CLOSE = 46.0
"""Pixels that a label under the axis needs."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One measured value: where it stands on the horizontal axis, what is written there, and its interval."""

    x: float
    label: str
    mean: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A point in pixels; `label` is empty where the one before stands too close."""

    x: float
    y: float
    low_y: float
    high_y: float
    label: str


@dataclass(frozen=True, kw_only=True)
class TrendChart:
    """Everything the template draws; numbers are CSS pixels."""

    width: int
    height: int
    left: float
    right: float
    top: float
    bottom: float
    y_marks: tuple[tuple[float, str], ...]
    points: tuple[Drawn, ...]
    line: str
    area: str
    x_name: str


def trend_charts(
    points: Sequence[Measured],
    x_name: str,
    *,
    law: Sequence[Measured] = (),
    log: bool = False,
) -> dict[str, TrendChart]:
    """The chart in each size. `law` is a line with its band through the points; without one the points are joined."""
    return {size: _chart(points, law, x_name, log, *extent) for size, extent in SIZES.items()}


def _chart(
    points: Sequence[Measured], law: Sequence[Measured], x_name: str, log: bool, width: int, height: int
) -> TrendChart:
    everything = [*points, *law]
    low = max(0.0, min(one.low for one in everything) - ROOM)
    high = min(1.0, max(one.high for one in everything) + ROOM)
    first, last = min(one.x for one in everything), max(one.x for one in everything)
    spread = last > first
    start, end = (LEFT + 14, width - RIGHT) if spread else (LEFT, width - RIGHT)
    x = Scale(low=first, high=last, start=start, end=end, log=log and spread)
    y = Scale(low=low, high=max(high, low + 0.05), start=height - BOTTOM, end=TOP)
    drawn, free = [], 0.0
    for one in points:
        at = x.at(one.x) if spread else (start + end) / 2
        label = one.label if at >= free else ""
        free = at + CLOSE if label else free
        drawn.append(Drawn(x=at, y=y.at(one.mean), low_y=y.at(one.low), high_y=y.at(one.high), label=label))
    through = [(x.at(one.x), y.at(one.mean)) for one in law] or [(one.x, one.y) for one in drawn]
    upper = [(x.at(one.x), y.at(one.high)) for one in law]
    lower = [(x.at(one.x), y.at(one.low)) for one in reversed(law)]
    return TrendChart(
        width=width,
        height=height,
        left=LEFT,
        right=width - RIGHT,
        top=TOP,
        bottom=height - BOTTOM,
        y_marks=tuple((y.at(one), f"{100 * one:.3g} %") for one in y.marks(5)),
        points=tuple(drawn),
        line=path_of(through) if len(through) > 1 else "",
        area=f"{path_of([*upper, *lower])}Z" if law else "",
        x_name=x_name,
    )
