"""The replay: at every step each candidate does what it would have done, and every question is asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Event
from time import perf_counter
from typing import Protocol

import numpy as np

from steelyard.candidates.interface import Candidate
from steelyard.evaluation.asking import ask_all, seconds_of
from steelyard.evaluation.dated import DatedFact, known_by, relabelled
from steelyard.models.artefact import load_artefact
from steelyard.schema.ageing import AgedAnswer, StepWork
from steelyard.schema.errors import CannotBuildError, UserError
from steelyard.schema.items import Item
from steelyard.schema.progress import Report

VALIDATION_EVERY = 4
"""Each fourth known row calibrates, the others train; by position, so that the same rows are taken at every step."""

FEWEST_FRESH = 10
"""Answered rows in wordings that were not learned from which on a tuned candidate is calibrated on those."""


class PastCorpus(Protocol):
    """The documents as they were, one step after the other."""

    def to(self, at: datetime) -> StepWork:
        """Bring the index to `at`; later than any moment asked for before."""

    def candidate(self, name: str, at: datetime, *, remembering: bool = True) -> Candidate:
        """An unfitted candidate that searches the documents as they were at `at`, the moment brought in last.

        Without `remembering` it embeds every text whenever it comes, as a server does.
        """


class Learner(Protocol):
    """Makes an unfitted candidate that needs no documents; `remembering`: see `PastCorpus.candidate`."""

    def __call__(self, *, remembering: bool = True) -> Candidate:
        """The candidate."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """How to replay: the threads that ask at the same time, and which candidate is another one where tuning it changed nothing.

    `at_once` says it for candidates that wait for a model elsewhere. `plain` reuses nothing from step to step or candidate to candidate; it
    takes longer and finds the same.
    """

    threads: int = 1
    at_once: Mapping[str, int] = field(default_factory=dict)
    alike: Mapping[str, str] = field(default_factory=dict)
    plain: bool = False


@dataclass(frozen=True)
class Answers:
    """What one candidate in one state answered to every fact, and the work that made the state.

    `seconds` are the mean that an answer keeps a core busy, `usd` what a generator's calls for one cost.
    """

    answers: tuple[AgedAnswer, ...]
    work: StepWork
    seconds: float = 0.0
    usd: float = 0.0


class AnswerFile:
    """Answers on disk by candidate and moment, so that a replay cut short goes on where it was."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, candidate: str, at: datetime) -> Answers | None:
        """The answers kept, None when there are none (or what is there was cut short)."""
        try:
            tree = json.loads(self._path(candidate, at).read_text(encoding="utf-8"))
            return Answers(
                tuple(AgedAnswer(**row) for row in tree["answers"]),
                StepWork(**tree["work"]),
                float(tree["seconds"]),
                float(tree["usd"]),
            )
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def write(self, candidate: str, at: datetime, answers: Answers) -> None:
        """Keep the answers, whole or not at all."""
        path = self._path(candidate, at)
        path.parent.mkdir(parents=True, exist_ok=True)
        tree = {
            "answers": [row.__dict__ for row in answers.answers],
            "work": answers.work.__dict__,
            "seconds": answers.seconds,
            "usd": answers.usd,
        }
        beside = path.with_suffix(".new")
        beside.write_text(json.dumps(tree, ensure_ascii=False), encoding="utf-8")
        beside.replace(path)

    def fitted(self, candidate: str) -> Path:
        """Where the state that a candidate was fitted to at the first moment is kept."""
        return self._folder / candidate / "fitted"

    def _path(self, candidate: str, at: datetime) -> Path:
        return self._folder / candidate / f"{at:%Y-%m-%dT%H%M%S}.json"


Trained = Mapping[str, Mapping[datetime, Answers]]
"""Answers by candidate and the moment it was trained."""


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """All answers: of candidates that follow the documents by step, of tuned ones by the moment they were trained.

    `left_out` says why a candidate could not be built here.
    """

    moments: tuple[datetime, ...]
    following: Mapping[str, Mapping[datetime, Answers]]
    trained: Trained
    left_out: Mapping[str, str] = field(default_factory=dict)


def replay(
    facts: Sequence[DatedFact],
    moments: Sequence[datetime],
    corpus: PastCorpus,
    following: Sequence[str],
    learners: Mapping[str, Learner],
    kept: AnswerFile,
    *,
    calibrating: Sequence[DatedFact] = (),
    way: Way | None = None,
    report: Report,
) -> Replayed:
    """Ask every fact at every moment.

    Candidates of `following` are fitted at the first moment, on what was known that day of the facts in `calibrating` (of those asked,
    where there are none), and then read the documents of each step. Those of `learners` are trained at every moment on all that was
    known by then, of the asked facts too, as a team would that keeps its answers in weights; in the wordings that are not asked, where
    there are such. Which of these trainings a cadence uses is decided afterwards, since an answer depends only on when the weights
    were made.

    Raises:
        UserError: nothing was known at the first moment.
    """
    step = _Step(facts, corpus, learners, kept, calibrating, way or Way(), moments[0])
    follow: dict[str, dict[datetime, Answers]] = {name: {} for name in following}
    left_out: dict[str, str] = {}
    with step.training(moments) as training:
        for done, at in enumerate(moments):
            report("replay the documents", done, len(moments))
            found = {name: kept.read(name, at) for name in follow if name not in left_out}
            missing = [name for name, answers in found.items() if answers is None]
            work = corpus.to(at) if missing else StepWork()
            for name in missing:
                try:
                    found[name] = step.follow(name, at, work, found)
                except CannotBuildError as error:
                    left_out[name] = error.message
            for name, answers in found.items():
                if answers is not None:
                    kept.write(name, at, answers)
                    follow[name][at] = answers
        trained = training()
    report("replay the documents", len(moments), len(moments))
    followed = {name: answers for name, answers in follow.items() if name not in left_out}
    return Replayed(moments=tuple(moments), following=followed, trained=trained, left_out=left_out)


class _Step:
    """Makes the answers of one candidate at one moment. What it remembers of other moments changes how long that takes, nothing else."""

    def __init__(
        self,
        facts: Sequence[DatedFact],
        corpus: PastCorpus,
        learners: Mapping[str, Learner],
        kept: AnswerFile,
        calibrating: Sequence[DatedFact],
        way: Way,
        first: datetime,
    ) -> None:
        self._facts = facts
        self._corpus = corpus
        self._learners = learners
        self._kept = kept
        self._calibrating = calibrating
        self._way = way
        self._first = first
        self._seconds: dict[str, float] = {}
        self._taught: dict[str, tuple[tuple[Item, ...], Answers]] = {}

    def follow(self, name: str, at: datetime, work: StepWork, found: Mapping[str, Answers | None]) -> Answers:
        """What a candidate answers that reads the documents of `at`; `found` are the answers of the others."""
        candidate, folder = self._corpus.candidate(name, at), self._kept.fitted(name)
        if not folder.is_dir():
            # Only the first moment can be asked for before anything was fitted: its answers are written last.
            candidate.fit(*_parts(self._calibrating or self._facts, self._first)).save(folder)
        other = self._way.alike.get(name)
        same = found.get(other) if other is not None else None
        if (
            other is not None
            and same is not None
            and not self._way.plain
            and _same_state(folder, self._kept.fitted(other))
        ):
            return same
        told = ask_all(candidate.load(folder), self._facts, self._way.at_once.get(name, self._way.threads))
        seconds = self._timed(name, lambda: self._corpus.candidate(name, at, remembering=False))
        return Answers(told.answers, work, seconds, told.usd)

    @contextmanager
    def training(self, moments: Sequence[datetime]) -> Iterator[Callable[[], Trained]]:
        """All trainings of all moments, beside what else is done where there are several threads; the result waits for them.

        They need no documents, so that they may be ahead of the replay or behind it.
        """
        stopped = Event()

        def train_all() -> Trained:
            return {name: {at: self._kept_or_trained(name, at, stopped) for at in moments} for name in self._learners}

        if self._way.threads == 1:
            yield train_all
            return
        with ThreadPoolExecutor(1, "steelyard-train") as pool:
            waiting = pool.submit(copy_context().run, train_all)
            try:
                yield waiting.result
            finally:
                stopped.set()

    def _kept_or_trained(self, name: str, at: datetime, stopped: Event) -> Answers:
        found = self._kept.read(name, at)
        if found is None:
            if stopped.is_set():
                raise CancelledError
            found = self.train(name, at)
            self._kept.write(name, at, found)
        return found

    def train(self, name: str, at: datetime) -> Answers:
        """What a candidate answers that was trained on what was known at `at`."""
        train, validation = _lessons(self._facts, self._calibrating, at)
        before = self._taught.get(name)
        if before is not None and before[0] == (*train, *validation) and not self._way.plain:
            return before[1]
        begin = perf_counter()
        candidate = self._learners[name]().fit(train, validation)
        work = StepWork(seconds=perf_counter() - begin, trained=True, labels=relabelled(self._facts, None, at))
        folder = self._kept.fitted(name)
        if not folder.is_dir():
            candidate.save(folder)
        told = ask_all(candidate, self._facts, self._way.at_once.get(name, self._way.threads))
        seconds = self._timed(name, lambda: self._learners[name](remembering=False))
        made = Answers(told.answers, work, seconds, told.usd)
        self._taught[name] = ((*train, *validation), made)
        return made

    def _timed(self, name: str, make: Callable[[], Candidate]) -> float:
        """The mean seconds of an answer, one after the other; of the first step, which is timed once."""
        if name not in self._seconds:
            first = self._kept.read(name, self._first)
            self._seconds[name] = (
                first.seconds if first is not None else seconds_of(make().load(self._kept.fitted(name)), self._facts)
            )
        return self._seconds[name]


def _same_state(one: Path, other: Path) -> bool:
    """Whether two fitted states answer alike: all is the same but their names and the notes on how they came about."""
    if not (one.is_dir() and other.is_dir()):
        return False
    (arrays, meta), (others, notes) = load_artefact(one), load_artefact(other)
    told = ("name", "notes")
    alike = {k: v for k, v in meta.items() if k not in told} == {k: v for k, v in notes.items() if k not in told}
    return alike and arrays.keys() == others.keys() and all(np.array_equal(arrays[k], others[k]) for k in arrays)


def _lessons(
    facts: Sequence[DatedFact], calibrating: Sequence[DatedFact], at: datetime
) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
    """What a tuned candidate learns at `at`, and what it calibrates on.

    The wordings that are not asked of all facts; it calibrates on calibrating facts in wordings it did not learn. Where those are too few,
    on each fourth row that it learned, by which it thinks too well of itself.
    """
    rows = tuple(known_by((*facts, *calibrating), at, taught=True))
    fresh = tuple(known_by([fact for fact in calibrating if fact.others], at))
    if sum(row.answerable for row in fresh) >= FEWEST_FRESH:
        return rows, fresh
    train, validation = _parted(rows, at)
    return (*train, *validation), validation


def _parts(facts: Sequence[DatedFact], at: datetime) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
    """What was known at `at`, parted into rows to learn from and rows to calibrate on."""
    return _parted(known_by(facts, at), at)


def _parted(known: Sequence[Item], at: datetime) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
    if not any(row.answerable for row in known):
        raise UserError(
            f"no question had an answer on {at.date()}.",
            remedy="Begin the backtest later (--from), or date the questions earlier.",
            code="backtest.nothing_known",
        )
    train = tuple(row for place, row in enumerate(known) if place % VALIDATION_EVERY)
    validation = tuple(row for place, row in enumerate(known) if not place % VALIDATION_EVERY)
    return train, validation
