"""The memory of a server's workers over time: by minute, and within one worker's life."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np

WARM_S = 30.0
"""What a worker takes in its first seconds, it fills its memories with."""

SHORTEST_LIFE_S = 60.0
"""A life shorter than this says nothing about growth."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Megabytes of each worker at a time (seconds from the begin): what it shares with nobody, and all that is resident."""

    at: float
    own: Mapping[int, float]
    resident: Mapping[int, float]


@dataclass(kw_only=True)
class Memory:
    """Samples of one server, across its restarts; `workers` of them make it whole."""

    workers: int
    samples: list[Sample] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        """`own_mb` and `resident_mb` are all workers' by minute (None: never whole); slopes are megabytes a minute by least squares.

        `life` is the worker that lived longest: its growth shows a leak that restarts would hide. The first WARM_S of it are left out.
        """
        own, resident = self._by_minute("own"), self._by_minute("resident")
        later = [(minute, value) for minute, value in enumerate(own) if value is not None][1:]
        return {
            "own_mb": own,
            "resident_mb": resident,
            "own_slope_mb_per_min": _slope(later),
            "life": self._longest_life(),
        }

    def _by_minute(self, name: str) -> list[float | None]:
        minutes: dict[int, list[float]] = {}
        for one in self.samples:
            held: Mapping[int, float] = getattr(one, name)
            if len(held) == self.workers:
                minutes.setdefault(int(one.at // 60), []).append(sum(held.values()))
        last = int(self.samples[-1].at // 60) if self.samples else -1
        return [round(median(minutes[at]), 1) if at in minutes else None for at in range(last + 1)]

    def _longest_life(self) -> dict[str, Any] | None:
        lives: dict[int, list[tuple[float, float]]] = {}
        for one in self.samples:
            for worker, held in one.own.items():
                lives.setdefault(worker, []).append((one.at, held))
        whole = max(lives.values(), key=lambda life: life[-1][0] - life[0][0], default=[])
        seconds = whole[-1][0] - whole[0][0] if whole else 0.0
        life = [(at / 60, held) for at, held in whole if at - whole[0][0] >= WARM_S]
        if seconds < SHORTEST_LIFE_S or len(life) < 3:
            return None
        third = max(1, len(life) // 3)
        begin, end = (median(held for _, held in part) for part in (life[:third], life[-third:]))
        return {
            "seconds": round(seconds),
            "first_mb": round(begin, 1),
            "last_mb": round(end, 1),
            "growth": round(end / begin, 3),
            "slope_mb_per_min": _slope(life),
        }


def _slope(points: Sequence[tuple[float, float]]) -> float | None:
    if len(points) < 3:
        return None
    minutes, held = zip(*points, strict=True)
    return round(float(np.polyfit(minutes, held, 1)[0]), 2)
