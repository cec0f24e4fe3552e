"""The decision, moved: what was measured is priced and decided again under other numbers, without measuring anything."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard.config import Settings
from steelyard.evaluation.bakeoff import Bakeoff, Listed, Unmeasured, decide, measured_run
from steelyard.schema.errors import FactsError, NotFoundError
from steelyard.schema.runs import RunRecord
from steelyard.schema.weighing import CandidateResult, ComponentResult, WeighReport
from steelyard.schema.weighing_file import weigh_report_from_json
from steelyard.workspace.weighing import listed_candidate

if TYPE_CHECKING:
    from steelyard.workspace.parts import Parts
    from steelyard.workspace.paths import State

UPDATES = "updates_per_year_"
"""Before a component's name: the changes a year that it must follow."""

NO_MONEY: Mapping[str, Any] = {
    field.name: field.default
    for field in fields(CandidateResult)
    if field.name.startswith("usd_") and field.name != "usd_lines"
} | {"usd_lines": {}, "p_cheapest": None}


@dataclass(frozen=True, kw_only=True)
class Knob:
    """A number of the decision that may be moved: its bounds and where it stood when the decision was made."""

    name: str
    low: float
    high: float
    at: float
    whole: bool = False

    def check(self, value: float) -> float:
        """The value, when it lies within the bounds.

        Raises:
            FactsError: it does not.
        """
        if not self.low <= value <= self.high:
            raise FactsError(
                f"{value:g} is outside {self.low:,g} to {self.high:,g}.",
                where=self.name,
                remedy="Choose a number between them.",
                code="decision.out_of_bounds",
            )
        return float(round(value)) if self.whole else value


BOUNDS: Mapping[str, tuple[float, float, bool]] = {
    "queries_per_month": (100.0, 100_000_000.0, True),
    "growth_per_month": (0.0, 0.5, False),
    "wrong_answer_usd": (0.0, 1_000.0, False),
    "handoff_usd": (0.0, 1_000.0, False),
    "hour_usd": (1.0, 1_000.0, False),
    "label_usd": (0.0, 100.0, False),
    "cpu_hour_usd": (0.0, 100.0, False),
    "horizon_months": (1.0, 120.0, True),
}
"""Lowest and highest value, and whether it is a whole number, of each input that may be moved."""

UPDATE_BOUNDS = (0.0, 5_000.0)

KEPT = 48
"""Component decisions under late numbers that are kept."""


class MovableDecision:
    """The last decision with what it was measured from; `at` decides it again under other numbers.

    Opening reads the decision; the run records are read, and their error rates bootstrapped, at the first move. `updates` are the
    changes a year by component, exactly; without them the rounded ones of the decision are used.

    Raises:
        NotFoundError: nothing was weighed yet, or the decision is of another version.
    """

    def __init__(
        self, file: Path, state: State, settings: Settings, updates: Mapping[str, float] | None = None
    ) -> None:
        self.stored = read_decision(file)
        self._state = state
        self._settings = settings
        self._updates = updates or {}
        self._measured: dict[str, Bakeoff] | None = None
        self._decided: OrderedDict[tuple[Hashable, ...], ComponentResult] = OrderedDict()

    @property
    def knobs(self) -> tuple[Knob, ...]:
        """The numbers that may be moved, in the order of the decision's inputs."""
        found = []
        for name, value in self.stored.inputs.items():
            low, high, whole = (*UPDATE_BOUNDS, False) if name.startswith(UPDATES) else BOUNDS.get(name, (0, 0, False))
            if low < high and isinstance(value, int | float):
                found.append(Knob(name=name, low=min(low, value), high=max(high, value), at=float(value), whole=whole))
        return tuple(found)

    def at(self, numbers: Mapping[str, float]) -> WeighReport:
        """The decision with these inputs, all others as they were; whole systems are left out, for their money is not kept by part.

        Raises:
            FactsError: an unknown input, or one outside its bounds.
            NotFoundError: a run record that the decision rests on is gone.
        """
        known = {knob.name: knob for knob in self.knobs}
        for name in numbers:
            if name not in known:
                raise FactsError(
                    "no such input.", where=name, remedy=f"Move one of {', '.join(known)}.", code="decision.no_input"
                )
        moved = {name: known[name].check(value) for name, value in numbers.items()}
        inputs = {**self.stored.inputs, **moved}
        settings = _with_inputs(self._settings, inputs)
        seed = int(self.stored.inputs.get("seed", 0))
        components = tuple(
            self._moved(one, settings, self._updates_of(one.name, inputs), seed) for one in self.stored.components
        )
        return replace(self.stored, inputs=inputs, components=components, systems=(), system_comparisons=())

    def _updates_of(self, component: str, inputs: Mapping[str, Any]) -> float:
        """Changes a year; what is written is rounded, so where it was not moved the exact figure is taken."""
        written = float(inputs.get(UPDATES + component, 0.0))
        exact = self._updates.get(component)
        return exact if exact is not None and round(exact, 1) == written else written

    def _moved(self, stored: ComponentResult, settings: Settings, updates: float, seed: int) -> ComponentResult:
        if self._measured is None:
            self._measured = {one.name: self._bakeoff(one, seed) for one in self.stored.components}
        # Most numbers that move concern one component: the others are taken as they were decided a moment ago.
        key = (stored.name, settings.traffic, settings.economics, updates)
        known = self._decided.get(key)
        if known is None:
            known = self._decide(self._measured[stored.name], stored, settings, updates, seed)
            self._decided[key] = known
            while len(self._decided) > KEPT:
                self._decided.popitem(last=False)
        return known

    def _decide(
        self, measured: Bakeoff, stored: ComponentResult, settings: Settings, updates: float, seed: int
    ) -> ComponentResult:
        found = decide(measured, settings, updates_per_year=updates, seed=seed, sensitivity=False)
        return replace(
            found,
            holdout_uses=stored.holdout_uses,
            leaks_into_training=stored.leaks_into_training,
            ageing=stored.ageing,
            learning=stored.learning,
        )

    def _bakeoff(self, stored: ComponentResult, seed: int) -> Bakeoff:
        results = [one for one in stored.candidates if one.quality is not None]
        runs = [self._run(one) for one in results]
        # The order of the comparisons is the order in which the candidates ran; ties in cost are broken by it.
        order = list(dict.fromkeys(name for one in stored.comparisons for name in (one.first, one.second)))
        runs.sort(key=lambda run: order.index(run.candidate) if run.candidate in order else 0)
        by_name = {one.name: one for one in results}
        return Bakeoff(
            name=stored.name,
            task=stored.task,
            metric=stored.metric,
            dataset=stored.dataset,
            n_train=stored.n_train,
            n_validation=stored.n_validation,
            n_holdout=stored.n_holdout,
            results=tuple(replace(by_name[run.candidate], feasible=True, why_not=None, **NO_MONEY) for run in runs),
            measured={
                run.candidate: measured_run(run, stored.n_train, [item.cluster for item in runs[0].items], seed)
                for run in runs
            },
            comparisons=stored.comparisons,
            listed={run.candidate: _listed(by_name[run.candidate]) for run in runs},
            # Their options rest on counted tokens, which are not kept: they stand without money, and cannot be chosen anyway.
            unmeasured=tuple(
                Unmeasured(
                    listed=Listed(name=one.name, approach=one.approach, role=one.role), why=one.not_measured or ""
                )
                for one in stored.candidates
                if one.quality is None
            ),
        )

    def _run(self, result: CandidateResult) -> RunRecord:
        path = self._state.runs / f"{result.run_key}.json"
        try:
            return RunRecord.from_json(json.loads(path.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError) as error:
            raise NotFoundError(
                f"the run record of {result.name} is gone.",
                where=str(path.name),
                remedy="Run `steelyard weigh`: it measures what is missing.",
                code="decision.no_run",
            ) from error


def movable_decision(parts: Parts) -> MovableDecision:
    """The last decision of a workspace.

    Raises:
        NotFoundError: nothing was weighed yet, or the decision is of another version.
    """
    from steelyard.workspace.assembling import FILES, updates_of

    names = list(parts.settings.components)
    return MovableDecision(parts.folder / FILES["json"], parts.state, parts.settings, updates_of(parts, names))


def read_decision(file: Path) -> WeighReport:
    """The decision in `file`.

    Raises:
        NotFoundError: nothing was weighed yet, or the file is not one that this version wrote.
    """
    try:
        return weigh_report_from_json(json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise NotFoundError(
            "nothing was weighed yet.", remedy="Run `steelyard weigh`.", code="decision.none"
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise NotFoundError(
            "the decision cannot be read: another version wrote it, or it was edited.",
            where=file.name,
            remedy="Run `steelyard weigh` again; what has not changed is not measured again.",
            code="decision.unreadable",
        ) from error


def _listed(result: CandidateResult) -> Listed:
    found = listed_candidate(result.name)
    return replace(found, approach=result.approach)


def _with_inputs(settings: Settings, inputs: Mapping[str, Any]) -> Settings:
    traffic = {name: float(inputs[name]) for name in ("queries_per_month", "growth_per_month") if name in inputs}
    money = {
        name: float(inputs[name])
        for name in ("wrong_answer_usd", "handoff_usd", "hour_usd", "label_usd", "cpu_hour_usd")
        if name in inputs
    }
    months = int(inputs.get("horizon_months", settings.economics.horizon_months))
    return replace(
        settings,
        traffic=replace(settings.traffic, **traffic),
        economics=replace(settings.economics, **money, horizon_months=months),
    )
