"""Axes and their round marks, for charts that are drawn as plain SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A stretch of numbers, linear or logarithmic, laid over a stretch of pixels; `start` may be the larger end."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Where a value stands, in pixels; values outside stand at the end.

        >>> Scale(low=1, high=100, start=0, end=200, log=True).at(10)
        100.0
        """
        share = self._share(value)
        return round(self.start + (self.end - self.start) * min(max(share, 0.0), 1.0), 2)

    def marks(self, most: int) -> list[float]:
        """Round numbers on the scale, at most about `most`.

        >>> Scale(low=0, high=1, start=0, end=1).marks(5)
        [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
        """
        return _powers(self.low, self.high, most) if self.log else _steps(self.low, self.high, most)

    def _share(self, value: float) -> float:
        if self.log:
            low, high = math.log(self.low), math.log(self.high)
            return (math.log(max(value, 1e-12)) - low) / (high - low) if high > low else 0.5
        return (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5


def _steps(low: float, high: float, most: int) -> list[float]:
    rough = (high - low) / max(most, 1) or 1.0
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(size * unit for size in (1, 2, 5, 10) if size * unit >= rough * 0.999)
    first = math.ceil(round(low / step, 9))
    last = math.floor(round(high / step, 9))
    return [round(at * step, 12) for at in range(first, last + 1)]


def _powers(low: float, high: float, most: int) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for parts in ((1, 2, 5), (1, 3), (1,)):
        found = [part * 10.0**power for power in range(first, last + 1) for part in parts]
        found = [one for one in found if low * 0.999 <= one <= high * 1.001]
        if len(found) <= most:
            return found
    every = math.ceil(len(found) / most)
    return found[::every]


def path_of(points: Sequence[tuple[float, float]]) -> str:
    """An SVG path through points.

    >>> path_of([(0, 1), (2, 3.5)])
    'M0 1L2 3.5'
    """
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points)


def short(value: float) -> str:
    """A number in three digits with its unit, as an axis writes it.

    >>> short(120_000), short(1_500_000), short(950)
    ('120k', '1.5M', '950')
    """
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"
