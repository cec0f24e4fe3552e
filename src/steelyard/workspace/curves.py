"""Learning curves of a workspace's candidates: measured on validation rows, kept trial by trial, priced."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from steelyard.candidates import CANDIDATES
from steelyard.economics.energy import measured_effort, usd_of
from steelyard.economics.labelling import is_worth, value_of_gain
from steelyard.evaluation.run import now
from steelyard.evaluation.scoring import primary_metric
from steelyard.metrics.learning_curve import gain_between, resampled_laws, score_at
from steelyard.metrics.statistics import mean_interval
from steelyard.registry.ledger import Ledger
from steelyard.registry.versions import RECOMMENDED
from steelyard.schema.curves import CurvePoint, LabelForecast, LearningCurve
from steelyard.schema.errors import UserError
from steelyard.schema.items import Item, Split
from steelyard.schema.ledger import LedgerEntry
from steelyard.schema.progress import Report, silent
from steelyard.workspace.fingerprint import fingerprint
from steelyard.workspace.paths import write_whole

if TYPE_CHECKING:
    from steelyard.workspace.parts import Parts

SHARES = ((0.1, 5), (0.25, 4), (0.5, 3), (1.0, 1))
"""Shares of the labels, and how often each is drawn: small ones vary more and take less."""

MOST_VALIDATION = 1000  # rows scored a trial; the interval of a share is then 3 points at most
FEWEST_TO_LEARN, FEWEST_TO_SCORE = 40, 20
INNER = 5  # every fifth drawn row is for choosing and calibrating, as validation rows are when a candidate is fitted for use
MORE = (0.25, 0.5, 1.0)  # forecasts when nobody says how many labels: a quarter, half and as many again


class Curves:
    """Measures, keeps and prices learning curves."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def curve(self, target: str, labels: Sequence[int] = (), report: Report = silent) -> LearningCurve:
        """The learning curve of `COMPONENT/CANDIDATE`, or of a component's recommended candidate, with a forecast for each of `labels`.

        Each trial learns from a part of the train rows and is scored on validation rows, which it never saw; the holdout stays sealed.
        Trials are kept: what was interrupted goes on, and what was done is not done again.

        Raises:
            NotFoundError: an unknown component or candidate.
            DataError, UserError: the component's rows cannot be used, or are too few.
        """
        component, candidate = self.target(target)
        split = self._parts.examples.split(component)
        learned, scored = split.train, _sample(split.validation)
        if len(learned) < FEWEST_TO_LEARN or len(scored) < FEWEST_TO_SCORE:
            raise UserError(
                f"{len(learned)} train and {len(scored)} validation rows are too few for a learning curve.",
                where=self._parts.examples.file_of(component),
                remedy=f"It needs {FEWEST_TO_LEARN} and {FEWEST_TO_SCORE}: add rows.",
                code="data.too_few_for_a_curve",
            )
        errors, sizes = self._trials(component, candidate, split, scored, report)
        trials = fingerprint(sizes=sizes, errors=[matrix.tolist() for matrix in errors])[:24]
        last = self.known(component, candidate)
        if last is not None and last.trials == trials:
            law, laws, still_learning = last.law, last.laws, last.still_learning
        else:
            found = resampled_laws(sizes, errors, seed=self._parts.settings.measure.seed)
            law, laws, still_learning = found.law, found.laws, found.still_learning
        rows = len(split.train) + len(split.validation)
        wanted = sorted(labels) or [max(1, round(share * rows)) for share in MORE]
        made = LearningCurve(
            component=component,
            candidate=candidate,
            metric=primary_metric(self._parts.examples.component(component).task, scored),
            dataset=split.dataset,
            rows=rows,
            points=tuple(
                _point(share, size, found) for (share, _), size, found in zip(SHARES, sizes, errors, strict=True)
            ),
            law=law,
            laws=laws,
            still_learning=still_learning,
            trials=trials,
            forecasts=(),
        )
        made = replace(made, forecasts=tuple(self.forecast(made, count) for count in wanted))
        write_whole(self._path(component, candidate), json.dumps(made.to_json()))
        return made

    def known(self, component: str, candidate: str | None = None) -> LearningCurve | None:
        """The curve that was measured last of a component (or of one of its candidates), whatever the rows are now."""
        folder = self._path(component, "").parent
        paths = [self._path(component, candidate)] if candidate else sorted(folder.glob("*.json"), key=_modified)
        for path in reversed(paths):
            try:
                return LearningCurve.from_json(json.loads(path.read_text(encoding="utf-8")))
            except (FileNotFoundError, ValueError, KeyError, TypeError):
                continue
        return None

    def forecast(self, curve: LearningCurve, labels: int) -> LabelForecast:
        """What `labels` more rows than the curve was measured with would bring, in points and in USD over the horizon."""
        economics = self._parts.settings.economics
        law, laws, rows = curve.law, curve.laws, curve.rows
        gain = gain_between(law, laws, rows, rows + labels, still_learning=curve.still_learning)
        value = value_of_gain(gain, self._parts.settings.traffic, economics)
        cost = labels * economics.label_usd
        return LabelForecast(
            labels=labels,
            score=score_at(law, laws, rows + labels),
            gain=gain,
            value_usd=value,
            cost_usd=cost,
            verdict=is_worth(value, cost),
        )

    def target(self, target: str) -> tuple[str, str]:
        """Component and candidate of a target; without a candidate the recommended one, else the first that learns and is no baseline.

        Raises:
            NotFoundError: an unknown component or candidate.
        """
        component, _, candidate = target.partition("/")
        self._parts.examples.component(component)
        if candidate:
            self._parts.training.check_candidate(component, candidate)
            return component, candidate
        record = self._parts.registry.alias(component, RECOMMENDED)
        # Trials fit many times over: one that asks a generator is followed only where it is named.
        able = self._parts.training.names(component)
        names = [name for name in able if CANDIDATES.part(name).needs != "generator"] or able
        if record is not None and record.candidate in names:
            return component, record.candidate
        learners = [name for name in names if CANDIDATES.part(name).approach in ("fine_tune", "hybrid")]
        plain = [name for name in learners if "baseline" not in CANDIDATES.part(name).role]
        return component, (plain or learners or names)[0]

    def _trials(
        self, component: str, candidate: str, split: Split, scored: Sequence[Item], report: Report
    ) -> tuple[list[NDArray[np.float64]], list[int]]:
        """Errors, (draws, validation rows), by share, and the rows learned from; trials done before are read."""
        economics = self._parts.settings.economics
        kept = self._path(component, candidate).with_suffix("")
        base = self._parts.training.inputs(component, candidate, split)
        errors: list[NDArray[np.float64]] = []
        sizes: list[int] = []
        total, done, fitted = sum(count for _, count in SHARES), 0, 0
        with measured_effort(economics.cpu_watts) as meter:
            for share, count in SHARES:
                rows = []
                for draw in range(count):
                    chosen = nested_draw(split.train, share, self._parts.settings.measure.seed + draw)
                    key = fingerprint(
                        base=base, learned=[item.id for item in chosen], scored=[item.id for item in scored]
                    )
                    path = kept / f"{key[:24]}.json"
                    found = _read(path, len(scored))
                    if found is None:
                        found = self._trial(component, candidate, chosen, scored)
                        write_whole(path, json.dumps(found))
                        fitted += len(chosen)
                    rows.append(found)
                    done += 1
                    report(f"learning curve of {component}/{candidate}", done, total)
                errors.append(np.array(rows))
                sizes.append(len(chosen))
        if fitted:
            entry = LedgerEntry(
                component=component,
                candidate=candidate,
                version=None,
                kind="curve",
                rows=fitted,
                effort=meter.effort,
                usd=usd_of(meter.effort, economics.cpu_hour_usd),
                created=now(),
            )
            Ledger(self._parts.state.registry).add(entry)
        return errors, sizes

    def _trial(self, component: str, candidate: str, rows: Sequence[Item], scored: Sequence[Item]) -> list[float]:
        """1 - the deciding score of each validation row after learning from `rows`."""
        learned = [item for at, item in enumerate(rows) if at % INNER != INNER - 1]
        held = [item for at, item in enumerate(rows) if at % INNER == INNER - 1]
        return [1.0 - score for score in self._parts.training.trial(component, candidate, learned, held, scored)]

    def _path(self, component: str, candidate: str) -> Path:
        return self._parts.state.curves / component / f"{candidate}.json"


def nested_draw(rows: Sequence[Item], share: float, seed: int) -> list[Item]:
    """A share of the rows, drawn from each label alike; with one seed a larger share holds the smaller ones."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(rows))
    sizes: dict[str, int] = defaultdict(int)
    for item in rows:
        sizes[item.label or ""] += 1
    seen: dict[str, int] = defaultdict(int)
    places = []
    for at in order.tolist():
        label = rows[at].label or ""
        # Where the row stands among those of its label, 0 to 1; ties in drawn order.
        places.append(((seen[label] + 0.5) / sizes[label], at))
        seen[label] += 1
    places.sort(key=lambda place: place[0])
    return [rows[at] for _, at in places[: max(1, round(share * len(rows)))]]


def _sample(rows: Sequence[Item]) -> tuple[Item, ...]:
    """At most 1,000 rows, drawn the same way every time."""
    if len(rows) <= MOST_VALIDATION:
        return tuple(rows)
    chosen = np.sort(np.random.default_rng(0).choice(len(rows), MOST_VALIDATION, replace=False))
    return tuple(rows[at] for at in chosen.tolist())


def _point(share: float, rows: int, errors: NDArray[np.float64]) -> CurvePoint:
    """The mean over draws, with the interval over validation rows."""
    score = mean_interval((1.0 - errors).mean(axis=0).tolist())
    return CurvePoint(share=share, rows=rows, draws=len(errors), score=score)


def _read(path: Path, count: int) -> list[float] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, list) and len(found) == count else None


def _modified(path: Path) -> float:
    return path.stat().st_mtime
