"""Counts what model calls use: every encoder and generator reports here, so tokens and seconds are counted once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from time import perf_counter

from steelyard.schema.outputs import Usage


class Meter:
    """Adds up the model calls made while it is open, in its own context.

    `usage.seconds` is the wall time since the meter was opened (fixed once it is closed), so it goes into an `Output`
    as it is; `model_s` is the part of it spent inside model calls. A kept answer of a generator counts with the seconds that it took
    when it was made, so a repeated measurement measures the same latency; and so does what was done ahead, `ahead_s`.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.ahead_s = 0.0
        self._total = Usage()
        self._opened = perf_counter()
        self._closed: float | None = None
        self._spared = 0.0

    @property
    def usage(self) -> Usage:
        """Tokens of all calls so far, and the wall seconds since the meter was opened."""
        end = perf_counter() if self._closed is None else self._closed
        return replace(self._total, seconds=end - self._opened + self._spared)

    @property
    def model_s(self) -> float:
        """Seconds spent inside model calls."""
        return self._total.seconds

    def add(self, usage: Usage, *, waited: bool = True, ahead: bool = False) -> None:
        """Count one call; `waited` False: its seconds did not pass now, its answer was kept; `ahead`: it was made before."""
        self.calls += 1
        if not waited or ahead:
            self._spared += usage.seconds
        if ahead:
            self.ahead_s += usage.seconds
        self._total = self._total + usage

    def close(self) -> None:
        """Stop the clock."""
        self._closed = perf_counter()


# A tuple, not one meter: a candidate's meter and the run's meter around it both count a call.
_open_meters: ContextVar[tuple[Meter, ...]] = ContextVar("steelyard_open_meters", default=())


@contextmanager
def metered() -> Iterator[Meter]:
    """Open a meter for the block; meters nest, and each counts what happens inside it.

    Meters belong to the context (thread or task): calls made by other threads are not counted, so concurrent requests
    stay apart.

    >>> with metered() as meter:
    ...     record(Usage(encoder_tokens=3))
    >>> meter.usage.encoder_tokens
    3
    """
    meter = Meter()
    token = _open_meters.set((*_open_meters.get(), meter))
    try:
        yield meter
    finally:
        meter.close()
        _open_meters.reset(token)


def record(usage: Usage, *, waited: bool = True, ahead: bool = False) -> None:
    """Count one model call in every open meter of this context; without an open meter nothing happens. For the rest see `Meter.add`."""
    for meter in _open_meters.get():
        meter.add(usage, waited=waited, ahead=ahead)
