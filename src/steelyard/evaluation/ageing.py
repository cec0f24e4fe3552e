"""The replay: at every step each candidate does what it would have done, and every question is asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import perf_counter
from typing import Protocol

from steelyard.candidates.interface import Candidate
from steelyard.evaluation.dated import DatedFact, known_by, relabelled
from steelyard.schema.ageing import AgedAnswer, StepWork
from steelyard.schema.errors import UserError
from steelyard.schema.items import Item
from steelyard.schema.outputs import Request
from steelyard.schema.progress import Report
from steelyard.schema.scope import Scope

VALIDATION_EVERY = 4
"""Each fourth known row calibrates, the others train; by position, so that the same rows are taken at every step."""


class PastCorpus(Protocol):
    """The documents as they were, one step after the other."""

    def to(self, at: datetime) -> StepWork:
        """Bring the index to `at`; later than any moment asked for before."""

    def candidate(self, name: str, at: datetime) -> Candidate:
        """An unfitted candidate that searches the documents as they were at `at`, the moment brought in last."""


Learner = Callable[[], Candidate]
"""Makes an unfitted candidate that needs no documents."""


@dataclass(frozen=True)
class Answers:
    """What one candidate in one state answered to every fact, the work that made the state, and the mean seconds of an answer."""

    answers: tuple[AgedAnswer, ...]
    work: StepWork
    seconds: float = 0.0


class AnswerFile:
    """Answers on disk by candidate and moment, so that a replay cut short goes on where it was."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, candidate: str, at: datetime) -> Answers | None:
        """The answers kept, None when there are none (or what is there was cut short)."""
        try:
            tree = json.loads(self._path(candidate, at).read_text(encoding="utf-8"))
            return Answers(
                tuple(AgedAnswer(**row) for row in tree["answers"]), StepWork(**tree["work"]), float(tree["seconds"])
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
        }
        beside = path.with_suffix(".new")
        beside.write_text(json.dumps(tree, ensure_ascii=False), encoding="utf-8")
        beside.replace(path)

    def fitted(self, candidate: str) -> Path:
        """Where the state that a candidate was fitted to at the first moment is kept."""
        return self._folder / candidate / "fitted"

    def _path(self, candidate: str, at: datetime) -> Path:
        return self._folder / candidate / f"{at:%Y-%m-%dT%H%M%S}.json"


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """All answers: of candidates that follow the documents by step, of tuned ones by the moment they were trained."""

    moments: tuple[datetime, ...]
    following: Mapping[str, Mapping[datetime, Answers]]
    trained: Mapping[str, Mapping[datetime, Answers]]


def replay(
    facts: Sequence[DatedFact],
    moments: Sequence[datetime],
    corpus: PastCorpus,
    following: Sequence[str],
    learners: Mapping[str, Learner],
    kept: AnswerFile,
    *,
    calibrating: Sequence[DatedFact] = (),
    report: Report,
) -> Replayed:
    """Ask every fact at every moment.

    Candidates of `following` are fitted at the first moment, on what was known that day of the facts in `calibrating` (of those asked,
    where there are none), and then read the documents of each step. Those of `learners` are trained at every moment on all that was
    known by then, the asked facts too, as a team would that keeps its answers in weights. Which of these trainings a cadence
    uses is decided afterwards, since an answer depends only on when the weights were made.

    Raises:
        UserError: nothing was known at the first moment.
    """
    follow: dict[str, dict[datetime, Answers]] = {name: {} for name in following}
    trained: dict[str, dict[datetime, Answers]] = {name: {} for name in learners}
    train, validation = _parts(calibrating or facts, moments[0])
    for done, at in enumerate(moments):
        report("replay the documents", done, len(moments))
        found = {name: kept.read(name, at) for name in (*following, *learners)}
        missing = [name for name in following if found[name] is None]
        work = corpus.to(at) if missing else StepWork()
        for name in missing:
            candidate = corpus.candidate(name, at)
            folder = kept.fitted(name)
            if not folder.is_dir():
                # Only the first moment can be asked for before anything was fitted: its answers are written last.
                candidate.fit(train, validation).save(folder)
            found[name] = _asked(candidate.load(folder), facts, work)
        for name, make in learners.items():
            if found[name] is None:
                found[name] = _train(make(), facts, calibrating, at)
        for name, answers in found.items():
            assert answers is not None
            kept.write(name, at, answers)
            (follow if name in follow else trained)[name][at] = answers
    report("replay the documents", len(moments), len(moments))
    return Replayed(moments=tuple(moments), following=follow, trained=trained)


def ask_all(candidate: Candidate, facts: Sequence[DatedFact]) -> tuple[AgedAnswer, ...]:
    """Every fact's question to one candidate, in order."""
    answers = []
    for fact in facts:
        output = candidate.predict(Request(text=fact.text), Scope(groups=fact.groups))
        text = "" if output.abstained else output.text
        answers.append(AgedAnswer(fact=fact.name, text=text, abstained=output.abstained))
    return tuple(answers)


def _train(candidate: Candidate, facts: Sequence[DatedFact], calibrating: Sequence[DatedFact], at: datetime) -> Answers:
    begin = perf_counter()
    train, validation = _parts((*facts, *calibrating), at)
    candidate.fit((*train, *validation), validation)
    work = StepWork(seconds=perf_counter() - begin, trained=True, labels=relabelled(facts, None, at))
    return _asked(candidate, facts, work)


def _asked(candidate: Candidate, facts: Sequence[DatedFact], work: StepWork) -> Answers:
    begin = perf_counter()
    answers = ask_all(candidate, facts)
    return Answers(answers, work, (perf_counter() - begin) / max(1, len(answers)))


def _parts(facts: Sequence[DatedFact], at: datetime) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
    """What was known at `at`, parted into rows to learn from and rows to calibrate on."""
    known = known_by(facts, at)
    if not any(row.answerable for row in known):
        raise UserError(
            f"no question had an answer on {at.date()}.",
            remedy="Begin the backtest later (--from), or date the questions earlier.",
            code="backtest.nothing_known",
        )
    train = tuple(row for place, row in enumerate(known) if place % VALIDATION_EVERY)
    validation = tuple(row for place, row in enumerate(known) if not place % VALIDATION_EVERY)
    return train, validation
