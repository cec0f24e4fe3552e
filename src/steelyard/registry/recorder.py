"""Notes calls without making any of them wait: they are written together, some times a second."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from threading import Condition, Thread
from time import time

from steelyard.registry.operations import Operations
from steelyard.schema.errors import StoreError
from steelyard.schema.watching import Noted

FLUSH_S = 0.2
"""How often what is pending is written; what the sudden end of a process can lose."""

MOST_PENDING = 50_000
"""Calls kept in memory while the file cannot be written; later ones are dropped and counted."""

PRUNE_S = 3600.0

log = logging.getLogger("steelyard.operations")


class Recorder:
    """Buffers calls and writes them in a thread of its own, and prunes what is too old each hour. Safe for many threads.

    `keep_days` is for single calls, `keep_hours_days` for the sums. Watching must not harm answering: what cannot be written is logged,
    tried again, and dropped (counted in `dropped`) when too much is pending.
    """

    def __init__(
        self, operations: Operations, *, limit_ms: float, keep_days: float = 7.0, keep_hours_days: float = 400.0
    ) -> None:
        self._operations = operations
        self._limit_ms = limit_ms
        self._keep_s = (keep_days * 86400, keep_hours_days * 86400)
        self._pending: list[Noted] = []
        self._turn = Condition()
        self._closed = False
        self._writing = False
        self._pruned_at = 0.0
        self._thread: Thread | None = None
        self.dropped = 0

    def note(self, calls: Sequence[Noted]) -> None:
        """Keep some calls; returns at once."""
        with self._turn:
            if len(self._pending) + len(calls) > MOST_PENDING:
                self.dropped += len(calls)
                return
            self._pending.extend(calls)
            if self._thread is None and not self._closed:
                # Begun with the first call, not with the object: a server that forks its workers must not take a dead thread along.
                self._thread = Thread(target=self._run, name="steelyard-operations", daemon=True)
                self._thread.start()

    def flush(self) -> None:
        """Write what is pending, in this thread.

        Raises:
            StoreError: it cannot be written.
        """
        with self._turn:
            self._turn.wait_for(lambda: not self._writing)
            pending, self._pending = self._pending, []
        try:
            self._operations.write(pending, limit_ms=self._limit_ms)
        except StoreError:
            with self._turn:
                self._pending = [*pending, *self._pending][:MOST_PENDING]
            raise

    def close(self) -> None:
        """Write what is pending and end the thread."""
        with self._turn:
            self._closed = True
            self._turn.notify_all()
        if self._thread is not None:
            self._thread.join()
        self.flush()

    def _run(self) -> None:
        while True:
            with self._turn:
                self._turn.wait_for(lambda: self._closed, FLUSH_S)
                closed = self._closed
                pending, self._pending = self._pending, []
                self._writing = True
            try:
                self._operations.write(pending, limit_ms=self._limit_ms)
                self._prune()
            except StoreError:
                log.exception("operations cannot be written now; trying again")
                with self._turn:
                    self._pending = [*pending, *self._pending][:MOST_PENDING]
            finally:
                with self._turn:
                    self._writing = False
                    self._turn.notify_all()
            if closed:
                return

    def _prune(self) -> None:
        now = time()
        if now - self._pruned_at > PRUNE_S:
            self._pruned_at = now
            calls, hours = self._keep_s
            self._operations.prune(now - calls, now - hours)
