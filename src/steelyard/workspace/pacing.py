"""How long the calls of a job take together: in its order, as many in flight as it has, at the pace that was seen."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from steelyard.evaluation.run import WARM_UP
from steelyard.models.call_ledger import CallLedger
from steelyard.schema.generation import TokenUse

FIRST_TOKEN_S, S_PER_TOKEN = 0.5, 0.02
"""What a call takes where none was made yet: half a second, and 50 tokens a second. A guess, and said to be one."""

ENOUGH_OTHERS = 20
"""Calls of other candidates from which the speed of a server is learned: three rates are fitted to them."""

LATEST = 2_000
"""Calls that are looked at, the latest: a server is as quick as it was lately."""

DRAWS = 24
"""Courses that are played through; their mean differs from that of very many by less than a hundredth."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """The way of a job through its calls.

    First `groups` of calls handed over together, each begun when the one before is answered; then `alone`, one by one; then `measured` by
    a measurement, the first few of them one by one.
    `fitting_s` and `measuring_s` are seconds of this machine's own work beside the calls: search, prompts, checks.
    """

    groups: tuple[int, ...] = ()
    alone: int = 0
    measured: int = 0
    fitting_s: float = 0.0
    measuring_s: float = 0.0

    @property
    def calls(self) -> int:
        """All calls."""
        return sum(self.groups) + self.alone + self.measured

    def seconds(self, each_s: NDArray[np.float64], at_once: int) -> float:
        """Mean wall time with calls that take as long as those of `each_s`, `at_once` of them in flight."""
        if not self.calls:
            return self.fitting_s + self.measuring_s
        return float(np.mean([self._once(each_s, at_once, draw) for draw in range(DRAWS)]))

    def _once(self, each_s: NDArray[np.float64], at_once: int, draw: int) -> float:
        taken = np.random.default_rng(draw).choice(each_s, self.calls)
        parts = np.split(taken, np.cumsum((*self.groups, self.alone)))
        measured = parts.pop()
        waited = sum(_together(part, at_once) for part in parts[:-1]) + float(parts[-1].sum())
        if not len(measured):
            return self.fitting_s + waited + self.measuring_s
        own = self.measuring_s / len(measured)
        warm = measured[:WARM_UP] + own
        rest = measured[WARM_UP:] + own
        # Waiting goes on side by side, work of this machine does not.
        waited += float(warm.sum()) + max(_together(rest, at_once), own * len(rest))
        return self.fitting_s + waited


def _together(each_s: NDArray[np.float64], at_once: int) -> float:
    """Wall time until the last is over, where the next begins as soon as one of `at_once` ends.

    >>> _together(np.array([3.0, 1.0, 1.0, 1.0]), 2)
    3.0
    """
    free = [0.0] * max(1, at_once)
    for one in each_s:
        heapq.heapreplace(free, free[0] + float(one))
    return max(free)


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What each of some calls took, oldest first: seconds and USD, float64, (calls,)."""

    seconds: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    usd: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    @property
    def error(self) -> float:
        """Standard error of the mean seconds or USD, the larger, as a part of it; infinite for fewer than three calls."""
        return max(_error(self.seconds), _error(self.usd))


def _error(values: NDArray[np.float64]) -> float:
    if len(values) < 3:  # two that happen to be alike tell nothing
        return math.inf
    mean = float(values.mean())
    return float(values.std(ddof=1)) / math.sqrt(len(values)) / mean if mean > 0 else 0.0


def taken_by(ledger: CallLedger, purposes: Sequence[str]) -> Taken:
    """What the latest calls for `purposes` took; without the very first, which pays for a connection and a beginning that nobody kept."""
    marks = ",".join("?" * len(purposes))
    found = ledger.rows(
        f"SELECT seconds, usd FROM calls WHERE purpose IN ({marks}) ORDER BY id DESC LIMIT {LATEST}", purposes
    )[::-1]
    found = found[1:] or found
    return Taken(seconds=np.array([row[0] for row in found]), usd=np.array([row[1] for row in found]))


@dataclass(frozen=True, kw_only=True)
class ServerPace:
    """Seconds of a call: `call_s`, more for each token that is read and not kept, more for each that is written; and how far calls are off.

    `calls` is how many calls that was learned from; 0 where it is a guess.
    """

    call_s: float = FIRST_TOKEN_S
    read_s: float = 0.0
    written_s: float = S_PER_TOKEN
    spread: NDArray[np.float64] = field(default_factory=lambda: np.ones(1))
    calls: int = 0

    def each_s(self, use: TokenUse, calls: int) -> NDArray[np.float64]:
        """Seconds of calls that use the tokens of `use` together, as far apart as those that were seen."""
        mean = self.call_s + (self.read_s * use.input + self.written_s * use.output) / max(1, calls)
        return self.spread * mean


def server_pace(ledger: CallLedger, generator: str) -> ServerPace:
    """The pace of a generator's earlier calls for whatever was trained and weighed; a guess where there were few.

    Least squares with no negative rate (Lawson and Hanson, Solving Least Squares Problems, 1974).
    """
    found = ledger.rows(
        "SELECT seconds, input, output FROM calls WHERE generator = ? AND outcome = 'answered' AND"
        f" (purpose LIKE 'train %' OR purpose LIKE 'weigh %' OR purpose LIKE 'sample %') ORDER BY id DESC LIMIT {LATEST}",
        (generator,),
    )
    if len(found) < ENOUGH_OTHERS:
        return ServerPace()
    from scipy.optimize import nnls

    seconds = np.array([row[0] for row in found], dtype=np.float64)
    tokens = np.array([[1.0, row[1], row[2]] for row in found], dtype=np.float64)
    size = np.maximum(tokens.max(axis=0), 1.0)
    rates = nnls(tokens / size, seconds)[0] / size
    mean = np.maximum(tokens @ rates, 1e-9)
    ratio = seconds / mean
    return ServerPace(
        call_s=float(rates[0]),
        read_s=float(rates[1]),
        written_s=float(rates[2]),
        spread=ratio / ratio.mean(),
        calls=len(found),
    )
