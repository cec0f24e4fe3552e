"""What a piece of work takes: wall and processor time, and the energy of it, estimated or read from the processor."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, process_time

from steelyard.schema.ledger import Effort

RAPL = Path("/sys/class/powercap")
"""Where Linux shows the energy counters of Intel and AMD processors, in microjoules; most systems let only root read them."""

JOULES_PER_WH = 3600.0


class Meter:
    """Holds the effort once its block has ended."""

    effort: Effort


@contextmanager
def measured_effort(cpu_watts: float, counters: Path = RAPL) -> Iterator[Meter]:
    """Measure what the block takes. Energy is read from the processor's counters where that is allowed, else estimated.

    The estimate is processor seconds (user and system, this process and the children that ended) x `cpu_watts` for one busy core. The
    counters measure whole processor packages with everything that runs on them, memory and the rest of the machine left out.
    """
    meter = Meter()
    packages = _packages(counters)
    before, cpu, begun = _read(packages), _cpu_seconds(), perf_counter()
    try:
        yield meter
    finally:
        seconds, spent = perf_counter() - begun, _cpu_seconds() - cpu
        joules = _difference(packages, before, _read(packages))
        meter.effort = Effort(
            seconds=seconds,
            cpu_seconds=spent,
            energy_wh=(spent * cpu_watts if joules is None else joules) / JOULES_PER_WH,
            energy_source="estimate" if joules is None else "rapl",
        )


def usd_of(effort: Effort, cpu_hour_usd: float) -> float:
    """What the machine time costs: the cores that worked, at least one for as long as it took."""
    return max(effort.seconds, effort.cpu_seconds) * cpu_hour_usd / 3600


def _cpu_seconds() -> float:
    # The system counts ended children in hundredths of a second; this process's own clock is finer, for fits of milliseconds.
    times = os.times()
    return process_time() + times.children_user + times.children_system


def _packages(counters: Path) -> list[Path]:
    """The counters of whole packages; `intel-rapl:0:1` would be a part of one."""
    return sorted(path for path in counters.glob("*-rapl:*") if path.name.count(":") == 1)


def _read(packages: list[Path]) -> list[int] | None:
    try:
        return [int((path / "energy_uj").read_text()) for path in packages] or None
    except (OSError, ValueError):
        return None


def _difference(packages: list[Path], before: list[int] | None, after: list[int] | None) -> float | None:
    """Joules between two readings; a counter that began again at 0 has passed its highest value once."""
    if before is None or after is None:
        return None
    total = 0
    for path, first, last in zip(packages, before, after, strict=True):
        if last < first:
            try:
                last += int((path / "max_energy_range_uj").read_text())
            except (OSError, ValueError):
                return None
        total += last - first
    return total / 1e6
