"""The pipeline in force in this process: follows releases, rollbacks and generations while requests go on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from threading import Condition, Thread
from time import monotonic

from steelyard.schema.serving import InForce
from steelyard.serving.pipeline import Pipeline

PATIENCE_S = 0.5
"""How long a request that comes after a change waits for the new parts to load; then what answered before goes on answering."""

RETRY_S = 5.0
"""How long after a failed load the next one is tried, where nothing else changes before."""

log = logging.getLogger("steelyard.serving")


class Current:
    """Gives each request the pipeline that is in force when it begins.

    `pulse` is read on every request and must be cheap; when it differs from the last one, `wanted` says what should answer, and `load`
    makes that, in a thread of its own. The pointer moves when the new pipeline is whole, so no answer mixes two releases, and one that
    began on the old pipeline ends on it. What cannot be loaded changes nothing: the old pipeline answers on, and `failure` says why.
    """

    def __init__(
        self, pulse: Callable[[], Hashable], wanted: Callable[[], InForce], load: Callable[[InForce], Pipeline]
    ) -> None:
        self._pulse = pulse
        self._wanted = wanted
        self._load = load
        self._turn = Condition()
        self._seen: Hashable = None
        self._pipeline: Pipeline | None = None
        self._loading = False
        self._retry_at = 0.0
        self.failure: str | None = None
        self.swaps = 0

    def begin(self) -> Pipeline:
        """Load the first pipeline in this thread and return it.

        Raises:
            SteelyardError: it cannot be loaded.
        """
        beat = self._pulse()
        pipeline = self._load(self._wanted())
        with self._turn:
            self._pipeline, self._seen = pipeline, beat
        return pipeline

    def get(self) -> Pipeline:
        """The pipeline for a request that begins now; after a change it waits a moment for the new one.

        Raises:
            SteelyardError: there is no pipeline yet, and none can be loaded.
        """
        found = self._pipeline
        if found is None:
            return self.begin()
        beat = self._pulse()
        if beat == self._seen and not self._is_due():
            return found
        with self._turn:
            if not self._loading and (beat != self._seen or self._is_due()):
                self._loading = True
                Thread(target=self._follow, name="steelyard-follow", daemon=True).start()
            if self.failure is None:
                self._turn.wait_for(lambda: not self._loading, PATIENCE_S)
            return self._pipeline or found

    @property
    def latest(self) -> Pipeline:
        """The pipeline loaded last; waits for nothing and follows nothing. Only after `begin`."""
        assert self._pipeline is not None
        return self._pipeline

    def _is_due(self) -> bool:
        return self.failure is not None and monotonic() > self._retry_at

    def _follow(self) -> None:
        beat = self._pulse()
        try:
            wanted, held = self._wanted(), self._pipeline
            if held is None or wanted != held.in_force:
                made = self._load(wanted)
                self._pipeline = made
                self.swaps += 1
                log.info("release %s on generation %s answers now", wanted.release, wanted.generation)
            self.failure = None
        except Exception as error:
            self.failure, self._retry_at = str(error), monotonic() + RETRY_S
            log.exception("what should answer now cannot be loaded; what answered before answers on")
        finally:
            with self._turn:
                self._seen = beat
                self._loading = False
                self._turn.notify_all()
