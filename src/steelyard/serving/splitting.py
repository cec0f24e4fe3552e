"""Who is answered by what: production, or a canary for a share of the callers; and which requests a shadow is asked as well."""

from __future__ import annotations

import hashlib
import logging
import random
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from threading import Lock, Thread
from time import monotonic

from steelyard.schema.serving import InForce
from steelyard.schema.trials import Arm, Trial, TrialKind
from steelyard.serving.pipeline import Pipeline

RETRY_S = 30.0
"""How long after a trial's versions could not be loaded they are tried again."""

log = logging.getLogger("steelyard.serving")


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The pipeline of one request, which side that is, the trial (None: of none), and the components that are tried there."""

    pipeline: Pipeline
    arm: Arm = "production"
    trial: int | None = None
    components: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Loaded:
    trial: Trial
    on: InForce
    pipeline: Pipeline


class Splitter:
    """Chooses the pipeline of each request. Nothing waits for it: versions on trial are loaded beside the running requests.

    `running` gives the trial of a kind that runs now; it is asked again whenever `pulse` differs. Until a trial's versions are loaded,
    and when they cannot be, and after another release, production answers everybody. Safe for many threads.
    """

    def __init__(
        self,
        pulse: Callable[[], Hashable],
        running: Callable[[TrialKind], Trial | None],
        load: Callable[[InForce], Pipeline],
    ) -> None:
        self._pulse = pulse
        self._running = running
        self._load = load
        self._guard = Lock()
        self._seen: Hashable = None
        self._trials: Mapping[TrialKind, Trial | None] = {}
        self._loaded: dict[TrialKind, _Loaded] = {}
        self._loading: set[TrialKind] = set()
        self._retry_at: dict[TrialKind, float] = {}

    def choose(self, production: Pipeline, caller: str) -> Choice:
        """What answers this request of this caller."""
        loaded = self._ready("canary", production)
        if loaded is None:
            return Choice(pipeline=production)
        trial = loaded.trial
        drawn = draw(trial.number, caller) if trial.split_by == "caller" else random.random()
        if drawn < trial.share:
            return Choice(pipeline=loaded.pipeline, arm="canary", trial=trial.number, components=tuple(trial.versions))
        return Choice(pipeline=production, trial=trial.number, components=tuple(trial.versions))

    def shadow(self, production: Pipeline) -> Choice | None:
        """What is to be asked the same, nobody listening; None for most requests."""
        loaded = self._ready("shadow", production)
        if loaded is None or random.random() >= loaded.trial.share:
            return None
        trial = loaded.trial
        return Choice(pipeline=loaded.pipeline, arm="shadow", trial=trial.number, components=tuple(trial.versions))

    def _ready(self, kind: TrialKind, production: Pipeline) -> _Loaded | None:
        trial = self._now(kind)
        if trial is None or trial.release != production.in_force.release:
            return None
        loaded = self._loaded.get(kind)
        if loaded is not None and loaded.trial.number == trial.number and loaded.on == production.in_force:
            return loaded
        with self._guard:
            if kind not in self._loading and monotonic() >= self._retry_at.get(kind, 0.0):
                self._loading.add(kind)
                Thread(
                    target=self._prepare, args=(trial, production.in_force), name=f"steelyard-{kind}", daemon=True
                ).start()
        return None

    def _now(self, kind: TrialKind) -> Trial | None:
        beat = self._pulse()
        if beat != self._seen:
            # Read before it is marked as seen: two threads may both read, and neither goes on with an old one.
            self._trials = {one: self._running(one) for one in ("canary", "shadow")}
            self._seen = beat
        return self._trials.get(kind)

    def _prepare(self, trial: Trial, on: InForce) -> None:
        try:
            tried = dict(trial.versions)
            versions = tuple((name, *tried.pop(name, (candidate, version))) for name, candidate, version in on.versions)
            versions += tuple((name, *version) for name, version in tried.items())
            pipeline = self._load(replace(on, versions=versions))
            self._loaded[trial.kind] = _Loaded(trial=trial, on=on, pipeline=pipeline)
        except Exception:
            self._retry_at[trial.kind] = monotonic() + RETRY_S
            log.exception(
                "the versions of %s %s cannot be loaded; production answers everybody", trial.kind, trial.number
            )
        finally:
            with self._guard:
                self._loading.discard(trial.kind)


def draw(trial: int, caller: str) -> float:
    """A number from 0 up to 1 that a caller keeps throughout a trial, and that differs between trials.

    >>> draw(1, "k-ann") == draw(1, "k-ann"), draw(1, "k-ann") == draw(2, "k-ann")
    (True, False)
    """
    digest = hashlib.blake2b(f"{trial}:{caller}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
