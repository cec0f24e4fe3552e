"""How often a caller may ask: one bucket a caller, shared by every worker process of this machine."""

from __future__ import annotations

import hashlib
import mmap
import os
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from types import ModuleType

from steelyard.schema.errors import LimitError

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # a system without it: each worker then counts alone
    fcntl = None

SLOTS = 8192
"""Callers that are remembered at a time; of more, the one whose bucket is fullest is forgotten, and starts with a full one."""

PROBES = 16
"""Slots that a caller may stand in, beginning at its own."""

_SLOT = struct.Struct("16sd")


class RateLimit:
    """A token bucket a caller: `burst` requests at once, then `per_minute`.

    Kept as one number a caller, the time at which its bucket will be full again (the generic cell rate algorithm of ITU-T I.371), in
    a mapped file that all workers of one machine share under a lock; so the limit holds whatever worker a connection lands on. Where the
    file cannot be shared (no `fcntl`), and on several machines, each process or machine has buckets of its own, and a caller gets at
    most as many times the limit as there are of them. Counters are not evidence: a restart of the machine begins with full buckets.
    """

    def __init__(self, path: Path, per_minute: float, burst: int, clock: Callable[[], float] = monotonic) -> None:
        self._interval = 60.0 / per_minute if per_minute else 0.0
        self._allowance = self._interval * burst
        self._rate = per_minute
        self._clock = clock
        self._guard = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        size = SLOTS * _SLOT.size
        if os.fstat(self._file).st_size < size:
            os.ftruncate(self._file, size)  # zeros: every slot is free; a second process does the same to the same end
        self._slots = mmap.mmap(self._file, size)

    def take(self, caller: str) -> None:
        """Count one request of a caller.

        Raises:
            LimitError: its bucket is empty; `retry_after_s` says when there is room again.
        """
        if not self._interval:
            return
        with self._locked():
            now = self._clock()
            mark = hashlib.blake2b(caller.encode("utf-8", "replace"), digest_size=16).digest()
            offset, full_at = self._slot(mark, now)
            # More than an empty bucket was written before the machine started anew: its clock began again.
            base = now if full_at > now + self._allowance + self._interval else max(full_at, now)
            wait = base + self._interval - now - self._allowance
            # A hair above zero is rounding, not a request too many.
            if wait <= 1e-9 * max(1.0, now):
                _SLOT.pack_into(self._slots, offset, mark, base + self._interval)
                return
        raise LimitError(
            f"more than {self._rate:g} requests a minute.",
            retry_after_s=wait,
            remedy=f"Wait {max(1, round(wait))} s and go on more slowly; the operator sets the rate under [serve].",
            code="limits.rate",
        )

    def close(self) -> None:
        """Let go of the file."""
        self._slots.close()
        os.close(self._file)

    def _slot(self, mark: bytes, now: float) -> tuple[int, float]:
        """Where a caller's bucket is, or may be put, and when it is full again."""
        first = int.from_bytes(mark[:4], "little") % SLOTS
        best, fullest = 0, float("inf")
        for step in range(PROBES):
            offset = (first + step) % SLOTS * _SLOT.size
            held, full_at = _SLOT.unpack_from(self._slots, offset)
            if held == mark:
                return offset, full_at
            if full_at < fullest:
                best, fullest = offset, full_at
        return best, now

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._guard:
            if fcntl is None:
                yield
                return
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)
