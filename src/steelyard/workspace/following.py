"""`ingest --watch`: follows the sources, makes a generation of each burst of changes, and outlives what fails."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from steelyard.config import FILE_NAME, Settings, load_settings
from steelyard.corpus.freshness import Freshness
from steelyard.corpus.kept import Burst, Kept
from steelyard.corpus.parsing.pool import ParsePool
from steelyard.corpus.sidecar import GROUPS_FILE, RULES_FILE
from steelyard.corpus.sources import SourceRule
from steelyard.corpus.watching import Watching
from steelyard.schema.corpus import IngestReport
from steelyard.schema.errors import BrokenError, SteelyardError
from steelyard.schema.progress import Report
from steelyard.workspace.ingesting import parse_limits
from steelyard.workspace.parts import Parts
from steelyard.workspace.paths import State
from steelyard.workspace.quality import keep_quality
from steelyard.workspace.toolbox import Toolbox

FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 60.0
TICK_S = 0.2
"""How soon a wish to stop is heard while nothing happens."""
SIGN_OF_LIFE_S = 30.0
TIDY_AFTER_S = 5.0
"""The index is compacted, and retrieval measured on the gold questions, when nothing changed for this long: never between a change and
its answer."""


@dataclass(frozen=True, kw_only=True)
class Followed:
    """Something that happened while following.

    `watching`: it began, `polling` says how changes are noticed. `ingested`: a look at the sources; `report` says what it found, and
    `lag_s` how long its changes waited to be answered from, by source. `failed`: a look failed with `error`; what answered before goes on
    answering, and the next look is in `retry_s` seconds or with the next change. `stopped`: it ended.
    """

    event: Literal["watching", "ingested", "failed", "stopped"]
    at: datetime
    polling: bool = False
    report: IngestReport | None = None
    lag_s: Mapping[str, float] = field(default_factory=dict)
    error: SteelyardError | None = None
    retry_s: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """One line of `ingest --watch --json`: event, at, and what belongs to the event."""
        out: dict[str, Any] = {"event": self.event, "at": self.at.isoformat(timespec="milliseconds")}
        if self.event == "watching":
            out["polling"] = self.polling
        if self.report is not None:
            out |= self.report.to_json() | {"lag_s": dict(self.lag_s)}
        if self.error is not None:
            out |= {"error": self.error.to_json(), "retry_s": self.retry_s}
        return out


class _Stopped(BaseException):
    """Raised between two batches of an ingest when it is to stop; what was parsed and embedded is kept, nothing is half in force."""


def follow(
    folder: Path,
    tell: Callable[[Followed], None],
    stop: threading.Event,
    report: Report,
    *,
    poll_s: float | None = None,
) -> None:
    """Keep the corpus of the workspace in `folder` at what its sources hold, until `stop` is set.

    The encoder is loaded once. Settings are read again when steelyard.toml changes. `poll_s` looks at the sources at that interval
    instead of waiting for the system's reports.

    Raises:
        ConfigError: steelyard.toml is wrong at the start; later it is told and the settings before hold.
        UserError: no sources are configured.
    """
    follower = _Follower(folder, tell, stop, report, poll_s)
    try:
        follower.run()
    except _Stopped:
        pass
    finally:
        follower.close()
    tell(Followed(event="stopped", at=datetime.now(UTC)))


class _Follower:
    """The loop, with the parts that it keeps open."""

    def __init__(
        self,
        folder: Path,
        tell: Callable[[Followed], None],
        stop: threading.Event,
        report: Report,
        poll_s: float | None,
    ) -> None:
        self._folder = folder
        self._tell = tell
        self._stop = stop
        self._report = report
        self._poll_s = poll_s
        self._state = State(folder / ".steelyard")
        self._since = datetime.now(UTC)
        self._settings: Settings = load_settings(folder)
        self._settings_seen = self._settings_stamp()
        self._toolbox = Toolbox(folder, self._settings, self._state)
        self._toolbox.require_documents()
        # One process is kept warm: most bursts are one file, and starting one takes longer than reading it.
        self._parsers = ParsePool(parse_limits(self._settings))
        self._kept = Kept(self._state.corpus)
        self._failures = 0
        self._failing: tuple[tuple[str, str], ...] | None = None
        self._untidy_since: float | None = None

    def run(self) -> None:
        begun = False
        while not self._stop.is_set():
            self._read_settings()
            rules = [SourceRule(path=one.path) for one in self._settings.sources]
            also = [self._folder / name for name in (FILE_NAME, RULES_FILE, GROUPS_FILE)]
            also += [self._folder / one.path / RULES_FILE for one in self._settings.sources]
            with Watching(rules, self._folder, also, poll_s=self._poll_s) as watching:
                if not begun:
                    self._tell(Followed(event="watching", at=datetime.now(UTC), polling=watching.polling))
                    begun = True
                self._look(None)
                while not self._settings_changed() and (burst := self._heard(watching)):
                    self._look(burst)

    def close(self) -> None:
        """Say that nobody follows the sources any more, and close the files."""
        with contextlib.suppress(SteelyardError):
            Freshness(self._kept.sources).ended()
        self._kept.close()
        self._parsers.close()
        self._toolbox.close()

    def _heard(self, watching: Watching) -> Burst | None:
        """Wait for a change, or for the time of the next try; None when it is time to stop or to read the settings again."""
        until = time.monotonic() + self._retry_s() if self._failures else float("inf")
        sign = time.monotonic() + SIGN_OF_LIFE_S
        while not self._stop.is_set():
            burst = watching.wait(TICK_S)
            if burst is None and time.monotonic() >= until:
                burst = Burst(paths=None, until=datetime.now(UTC))
            if burst is not None:
                return None if self._settings_changed() else burst
            if time.monotonic() >= sign:
                self._sign_of_life()
                sign = time.monotonic() + SIGN_OF_LIFE_S
            self._tidy_when_quiet()
        return None

    def _look(self, burst: Burst | None) -> None:
        """Read what was heard of, or all sources; what fails is told, and what answered goes on answering."""
        try:
            self._sign_of_life()
            done = self._toolbox.ingest(
                self._stoppable, tidy=False, parsers=self._parsers, kept=self._kept, burst=burst
            )
            changed = done.added + done.updated + done.deleted + done.access_changed > 0
            lags = Freshness(self._kept.sources).lags(done.generation) if changed else {}
            if self._failing is None:
                self._warm_up(done.generation)
        except Exception as error:  # whatever broke, following goes on: the next look may find it mended
            self._failures += 1
            self._kept.forget()  # what was heard of is not looked at yet
            told = error if isinstance(error, SteelyardError) else _broken(error)
            self._tell(Followed(event="failed", at=datetime.now(UTC), error=told, retry_s=self._retry_s()))
            self._reopen()
            return
        news = changed or self._failures > 0 or done.failed != self._failing
        self._failures, self._failing = 0, done.failed
        if changed:
            self._untidy_since = time.monotonic()
        if news:
            self._tell(Followed(event="ingested", at=datetime.now(UTC), report=done, lag_s=lags))

    def _warm_up(self, generation: int) -> None:
        """Load what the first change would otherwise wait for: the index, the encoder, a parsing process."""
        self._toolbox.store.count(generation)
        self._toolbox.encoder.encode(["warm up"])
        self._parsers.warm_up()

    def _stoppable(self, stage: str, done: int, total: int) -> None:
        self._report(stage, done, total)
        if self._stop.is_set():
            raise _Stopped

    def _retry_s(self) -> float:
        return min(LONGEST_RETRY_S, FIRST_RETRY_S * 2.0 ** (self._failures - 1))

    def _settings_stamp(self) -> object:
        try:
            status = (self._folder / FILE_NAME).stat()
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns

    def _settings_changed(self) -> bool:
        return self._settings_stamp() != self._settings_seen

    def _read_settings(self) -> None:
        """Take over a changed steelyard.toml; a wrong one is told, and the settings before hold."""
        if not self._settings_changed():
            return
        self._settings_seen = self._settings_stamp()
        before = self._settings
        try:
            self._settings = load_settings(self._folder)
            self._reopen(keep_encoder=self._settings.models == before.models)
            self._toolbox.require_documents()
            self._parsers.close()
            self._parsers = ParsePool(parse_limits(self._settings))
        except SteelyardError as error:
            self._settings = before
            self._reopen()
            self._tell(Followed(event="failed", at=datetime.now(UTC), error=error))

    def _reopen(self, *, keep_encoder: bool = True) -> None:
        """Open library and index anew: after a failure nobody knows what the old ones hold in memory."""
        before = self._toolbox
        self._toolbox = Toolbox(self._folder, self._settings, self._state)
        self._kept.close()
        self._kept = Kept(self._state.corpus)
        if keep_encoder:
            self._toolbox.take_encoder(before)
        before.close()

    def _sign_of_life(self) -> None:
        # A full disk must not end the following; the ingest tells it.
        with contextlib.suppress(SteelyardError):
            Freshness(self._kept.sources).alive(self._since)

    def _tidy_when_quiet(self) -> None:
        if self._untidy_since is None or time.monotonic() - self._untidy_since < TIDY_AFTER_S:
            return
        self._untidy_since = None
        try:
            self._toolbox.store.optimize()
            parts = Parts(self._folder, self._settings, self._state)
            parts.toolbox = self._toolbox
            keep_quality(parts, self._stoppable)
        except Exception as error:  # the index answers all the same; the next quiet moment tries again
            told = error if isinstance(error, SteelyardError) else _broken(error)
            self._tell(Followed(event="failed", at=datetime.now(UTC), error=told))


def _broken(error: Exception) -> BrokenError:
    return BrokenError(
        f"the sources could not be read in ({type(error).__name__}: {error}).",
        remedy="What answered before goes on answering. Check the disk and the sources; the next try is automatic.",
        code="ingest.broken",
    )
