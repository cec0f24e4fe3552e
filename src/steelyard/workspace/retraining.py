"""Retraining is a decision: what changed since a version was fitted, what fitting again would bring, and what it costs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from steelyard.candidates import CANDIDATES
from steelyard.dataset.diff import diff_items
from steelyard.dataset.history import DatasetHistory
from steelyard.economics.labelling import is_worth, value_of_gain
from steelyard.evaluation.run import run_items
from steelyard.evaluation.scoring import Truth, primary_metric, score
from steelyard.metrics.drift import label_drift, mean_shift
from steelyard.metrics.learning_curve import gain_between, score_at
from steelyard.metrics.statistics import ALPHA, mean_interval
from steelyard.registry.ledger import Ledger
from steelyard.registry.versions import RECOMMENDED
from steelyard.schema.curves import LearningCurve
from steelyard.schema.datasets import DatasetDiff
from steelyard.schema.items import Item
from steelyard.schema.progress import Report, silent
from steelyard.schema.retraining import Drift, Retraining, RetrainVerdict
from steelyard.schema.runs import VersionRecord
from steelyard.schema.statistics import Interval
from steelyard.workspace.curves import Curves
from steelyard.workspace.paths import write_whole
from steelyard.workspace.retraining_words import sentence

if TYPE_CHECKING:
    from steelyard.workspace.parts import Parts

FEWEST_NEW = 20  # below it a test of drift could not find anything but an uproar
MOST_COMPARED = 3000  # old rows compared; more change the distance in the third digit
MOST_SCORED = 300

VERDICTS: dict[str, RetrainVerdict] = {"worth it": "do it", "not worth it": "do not", "cannot tell": "cannot tell"}


class Retrainings:
    """Decides for each component whether to train again."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._history = DatasetHistory(parts.state.datasets)

    def decide(self, component: str, report: Report = silent, *, look: bool = True) -> Retraining | None:
        """The decision for a component; None where nothing was fitted yet.

        With `look` new rows are embedded and put to the version that answers now, to see whether they are of another kind. Without it only
        counts and the learning curve speak, which takes no model.

        Raises:
            NotFoundError: no such component.
            DataError, UserError: the component's rows cannot be used.
        """
        record = self._version(component)
        if record is None:
            return None
        split = self._parts.examples.split(component)
        named = {"component": component, "candidate": record.candidate, "version": record.version}
        if split.dataset == record.dataset:
            return _said(named, new_labels=0, removed=0, verdict="nothing changed")
        old = self._rows(component, record.dataset)
        if old is None:
            return _said(named, new_labels=0, removed=0, verdict="cannot tell", kept=False)
        now = (*split.train, *split.validation, *split.holdout)
        changes = diff_items(old, now, (record.name, component))
        drift, scores = self._look(record, old, changes.added, report) if look else (None, None)
        learned = (len(split.train) + len(split.validation)) / len(now)
        return self._weighed(named, record, changes, round(learned * len(old)), learned, drift, scores)

    def _weighed(
        self,
        named: dict[str, Any],
        record: VersionRecord,
        changes: DatasetDiff,
        rows: int,
        learned: float,
        drift: Drift | None,
        scores: Interval | None,
    ) -> Retraining:
        """What is new, weighed: `rows` were learned from, and a share `learned` of the new ones will be."""
        new_labels = len(changes.added) + len(changes.relabelled)
        counts: dict[str, Any] = {"new_labels": new_labels, "removed": len(changes.removed)}
        evidence: dict[str, Any] = {"drift": drift, "on_new_rows": scores}
        curve = Curves(self._parts).known(record.component, record.candidate)
        cost = self._cost(record)
        if curve is None:
            return _said(named, **counts, verdict="cannot tell", cost_usd=cost, **evidence)
        after = rows + round(learned * new_labels)
        gain = gain_between(curve.law, curve.laws, rows, after, still_learning=curve.still_learning)
        if drift is not None and drift.drifted and scores is not None:
            gain = _with_drift(gain, curve, after, scores, len(changes.added) / (len(changes.added) + rows))
        value = value_of_gain(gain, self._parts.settings.traffic, self._parts.settings.economics)
        verdict = VERDICTS[is_worth(value, cost)] if new_labels else "nothing changed"
        return _said(named, **counts, verdict=verdict, gain=gain, value_usd=value, cost_usd=cost, **evidence)

    def _version(self, component: str) -> VersionRecord | None:
        """The version that is recommended, else the newest one that learns."""
        recommended = self._parts.registry.alias(component, RECOMMENDED)
        if recommended is not None:
            return recommended
        self._parts.examples.component(component)
        known = [one for one in self._parts.registry.versions(component) if one.candidate in CANDIDATES.names()]
        learners = [one for one in known if CANDIDATES.part(one.candidate).approach in ("fine_tune", "hybrid")]
        return (learners or known)[-1] if known else None

    def _rows(self, component: str, dataset: str) -> tuple[Item, ...] | None:
        """The rows that `dataset` names: those of a kept version that held on the day it was made."""
        for version in reversed(self._history.versions(component)):
            if dataset in (version.current, version.dataset):
                return self._history.rows(version)
        return None

    def _cost(self, record: VersionRecord) -> float:
        """USD of training again: the work of one update as the settings price it, and the machine time that the last fit took."""
        economics = self._parts.settings.economics
        approach = CANDIDATES.part(record.candidate).approach
        hours = economics.fine_tune_update_hours if approach in ("fine_tune", "hybrid") else economics.rag_update_hours
        spent = [one.usd for one in Ledger(self._parts.state.registry).entries(record.component, record.candidate)]
        return hours * economics.embedded_share * economics.hour_usd + (spent[-1] if spent else record.cost_usd)

    def _look(
        self, record: VersionRecord, old: Sequence[Item], added: Sequence[Item], report: Report
    ) -> tuple[Drift | None, Interval | None]:
        """Whether added rows are of another kind, and how right the version is on them; None where there are too few."""
        if len(added) < FEWEST_NEW:
            return None, None
        key = f"{record.name}:{len(old)}:{sorted(item.id for item in added)}"
        path = self._parts.state.checks / "drift" / f"{record.component}.json"
        known = _read(path, key)
        if known is not None:
            return known
        rng = np.random.default_rng(self._parts.settings.measure.seed)
        before = [old[at] for at in np.sort(rng.permutation(len(old))[:MOST_COMPARED]).tolist()]
        encoder = self._parts.toolbox.cached_encoder
        vectors = [encoder.encode([item.text for item in rows]) for rows in (before, added)]
        shift, shift_p = mean_shift(vectors[0], vectors[1])
        report("look at new rows", 1, 2)
        results = self._run(record, [*before[:MOST_SCORED], *added[:MOST_SCORED]])
        scored = mean_interval([value for value, _ in results[len(before[:MOST_SCORED]) :]])
        psi: float | None = None
        psi_p: float | None = None
        if self._parts.examples.component(record.component).task == "classify":
            labels = [label for _, label in results]
            psi, psi_p = label_drift(labels[: len(before[:MOST_SCORED])], labels[len(before[:MOST_SCORED]) :])
        report("look at new rows", 2, 2)
        # Two looks for one question: each at half of the level (Bonferroni).
        tests = [value for value in (shift_p, psi_p) if value is not None]
        drift = Drift(
            rows=len(before),
            new_rows=len(added),
            psi=psi,
            psi_p=psi_p,
            shift=shift,
            shift_p=shift_p,
            drifted=min(tests) <= ALPHA / len(tests),
        )
        _write(path, key, drift, scored)
        return drift, scored

    def _run(self, record: VersionRecord, items: Sequence[Item]) -> list[tuple[float, str]]:
        """The deciding score and the output of a version for each row."""
        task = self._parts.examples.component(record.component).task
        primary = primary_metric(task, items)
        label = self._parts.examples.component(record.component).out_of_scope_label
        truth = Truth(stored_text=self._parts.toolbox.stored_text, out_of_scope_label=label)
        candidate = self._parts.training.load(record)
        results = run_items(candidate, items, lambda item, output: score(item, output, truth), primary=primary)
        return [(result.scores.get(primary, 0.0), result.output) for result in results]


def _with_drift(gain: Interval, curve: LearningCurve, after: int, scores: Interval, share: float) -> Interval:
    """The gain where new rows are of another kind: training is assumed to bring them from what was measured to the curve's level.

    `share` is the share of such rows among what is learned from; that requests are mixed alike is assumed too.
    """
    level = score_at(curve.law, curve.laws, after)

    def mixed(old: float, then: float, now: float) -> float:
        return (1 - share) * old + share * max(0.0, then - now)

    return Interval(
        mean=mixed(gain.mean, level.mean, scores.mean),
        low=mixed(gain.low, level.low, scores.high),
        high=mixed(gain.high, level.high, scores.low),
        n=gain.n,
        level=gain.level,
    )


def _said(named: dict[str, Any], *, kept: bool = True, **values: Any) -> Retraining:
    """The decision with its sentence."""
    made = Retraining(**named, why="", **values)
    return Retraining(**{**made.__dict__, "why": sentence(made, kept=kept)})


def _read(path: Path, key: str) -> tuple[Drift, Interval] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["key"] != key:
            return None
        return Drift(**found["drift"]), Interval(**found["scores"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _write(path: Path, key: str, drift: Drift, scores: Interval) -> None:
    write_whole(path, json.dumps({"key": key, "drift": drift.to_json(), "scores": scores.to_json()}))
