"""Whether the decision still holds: its own arithmetic again, on the traffic, updates, latency and refusals that were measured since."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from steelyard.evaluation.bakeoff import decide_component
from steelyard.evaluation.scoring import DECLINED, WRONG
from steelyard.schema.errors import SteelyardError
from steelyard.schema.runs import ItemResult, RunRecord
from steelyard.schema.watching import DecisionNow
from steelyard.workspace.aged import measured_updates
from steelyard.workspace.fingerprint import fingerprint
from steelyard.workspace.paths import write_whole
from steelyard.workspace.weighing import evaluation_fingerprint, listed_candidate

if TYPE_CHECKING:
    from steelyard.config import Settings
    from steelyard.workspace.parts import Parts

NO_VERDICT = ("either", "not_enough_evidence")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What operation showed of one component: volume and growth a month, latency, share declined, updates; None where it is not known."""

    queries_per_month: float | None = None
    growth_per_month: float | None = None
    p95_ms: float | None = None
    declined: float | None = None
    updates_per_year: float | None = None


class DecidingAgain:
    """Decides components again from the kept runs. The same measured inputs (to two digits) are decided once and kept."""

    def __init__(self, parts: Parts, last: Mapping[str, Any]) -> None:
        self._parts = parts
        self._last = last
        self._kept = self._read()

    def decide(self, component: str, answering: str | None, measured: Measured) -> DecisionNow | None:
        """What the decision of a component is on measured inputs; None where it cannot be told.

        It cannot where nothing was decided, its labelled data has changed since (then `weigh` is due anyway), or its runs are gone.
        Both sides come from the same arithmetic: the inputs of the settings, and those that were measured. Latency and refusals are known
        of the `answering` candidate only, and of the machine: every run is slowed by the factor that the answering one shows.
        """
        decided = self._last.get("components", {}).get(component)
        inputs = _rounded(measured)
        if decided is None or not inputs:
            return None
        key = fingerprint(
            created=self._last["created"],
            settings=self._parts.settings.to_json(),
            code=evaluation_fingerprint(),
            component=component,
            answering=answering,
            inputs=inputs,
            updates=f"{self._updates(component) or 0.0:.1e}",
        )[:24]
        if key not in self._kept:
            told = self._decide(component, decided, answering, measured)
            self._kept = {**self._kept, key: None if told is None else told.to_json()}
            newest = dict(list(self._kept.items())[-50:])
            write_whole(self._parts.state.watched, json.dumps(newest, indent=1))
        found = self._kept[key]
        return None if found is None else DecisionNow(**found)

    def _decide(
        self, component: str, decided: Mapping[str, Any], answering: str | None, measured: Measured
    ) -> DecisionNow | None:
        try:
            split = self._parts.examples.split(component)
        except SteelyardError:
            return None
        runs = self._runs(decided)
        if split.dataset != decided["dataset"] or len(runs) < 2:
            return None
        task = self._parts.examples.component(component).task
        listed = {run.candidate: listed_candidate(run.candidate) for run in runs}
        seed = int(self._last["inputs"]["seed"])

        def verdict(settings: Settings, updates: float, taken: Sequence[RunRecord]) -> tuple[str, str | None]:
            found = decide_component(
                component, task, split, taken, listed, settings, updates_per_year=updates, seed=seed
            ).decision
            return found.recommendation, found.candidate

        inputs = self._last["inputs"]
        if f"updates_per_year_{component}" not in inputs:
            return None  # an older weigh, or one of other components
        planned = Measured(
            queries_per_month=float(inputs["queries_per_month"]),
            growth_per_month=float(inputs["growth_per_month"]),
            updates_per_year=float(inputs[f"updates_per_year_{component}"]),
        )
        settings = _with_traffic(self._parts.settings, planned)
        updates = (planned.updates_per_year or 0.0, self._updates(component) or planned.updates_per_year or 0.0)
        before = verdict(settings, updates[0], runs)
        now = verdict(_with_traffic(settings, measured), updates[1], _as_measured(runs, answering, measured))
        return _told(component, before, now, planned, replace(measured, updates_per_year=updates[1]))

    def _updates(self, component: str) -> float | None:
        """Changes a year that the documents of an answer component had; None of other tasks, whose changes nobody can measure."""
        task = self._parts.examples.component(component).task
        return measured_updates(self._parts.toolbox, component) if task == "answer" else None

    def _runs(self, decided: Mapping[str, Any]) -> list[RunRecord]:
        found = []
        for one in decided["candidates"]:
            path = self._parts.state.runs / f"{one.get('run')}.json"
            if one.get("run") and path.is_file():
                found.append(RunRecord.from_json(json.loads(path.read_text(encoding="utf-8"))))
        return found

    def _read(self) -> dict[str, Any]:
        try:
            kept = json.loads(self._parts.state.watched.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return kept if isinstance(kept, dict) else {}


def _told(
    component: str, before: tuple[str, str | None], now: tuple[str, str | None], planned: Measured, measured: Measured
) -> DecisionNow:
    decided, changed = _words(before), _words(now)
    shown = {name: float(f"{value:.3g}") for name, value in measured.__dict__.items() if value is not None}
    # Without a clear verdict nothing says to change, and the same candidate under another name is no change.
    holds = now == before or now[0] in NO_VERDICT or now[1] == before[1]
    if holds:
        return DecisionNow(
            component=component, holds=True, decided=decided, now=changed, because="", do="", inputs=shown
        )
    volume, updates = measured.queries_per_month, measured.updates_per_year
    reasons = []
    if volume is not None:
        reasons.append(f"{volume:,.0f} queries a month come, {planned.queries_per_month:,.0f} were planned")
    if updates is not None and planned.updates_per_year is not None and _far(updates, planned.updates_per_year):
        reasons.append(f"documents change {updates:,.0f} times a year, {planned.updates_per_year:,.0f} were planned")
    if measured.p95_ms is not None:
        reasons.append(f"its 95th percentile is {measured.p95_ms:,.0f} ms in operation")
    if measured.declined is not None:
        reasons.append(f"{measured.declined:.0%} are declined")
    named = f" and `steelyard release {component}/{now[1]}`" if now[1] and now[0] not in NO_VERDICT else ""
    return DecisionNow(
        component=component,
        holds=False,
        decided=decided,
        now=changed,
        because="; ".join(reasons),
        do=f"Put what was measured under [traffic], run `steelyard weigh`{named} when it confirms this.",
        inputs=shown,
    )


def _far(one: float, other: float) -> bool:
    """Whether two rates differ by more than a tenth."""
    return abs(one - other) > 0.1 * max(one, other)


def _words(verdict: tuple[str, str | None]) -> str:
    return verdict[0].replace("_", " ") + (f" ({verdict[1]})" if verdict[1] else "")


def _rounded(measured: Measured) -> dict[str, str]:
    """The inputs to two digits: what moves less moves no decision that one should act on."""
    return {name: f"{value:.1e}" for name, value in measured.__dict__.items() if value is not None}


def _with_traffic(settings: Settings, measured: Measured) -> Settings:
    traffic = settings.traffic
    if measured.queries_per_month is not None:
        traffic = replace(traffic, queries_per_month=measured.queries_per_month)
    if measured.growth_per_month is not None:
        traffic = replace(traffic, growth_per_month=measured.growth_per_month)
    return replace(settings, traffic=traffic)


def _as_measured(runs: Sequence[RunRecord], answering: str | None, measured: Measured) -> list[RunRecord]:
    own = next((run for run in runs if run.candidate == answering), None)
    if own is None:
        return list(runs)
    factor = 1.0
    if measured.p95_ms is not None:
        seconds = sorted(item.seconds for item in own.items)
        p95 = seconds[round(0.95 * (len(seconds) - 1))] * 1000
        factor = measured.p95_ms / p95 if p95 > 0 else 1.0
    slowed = [
        replace(run, items=tuple(replace(item, seconds=item.seconds * factor) for item in run.items)) for run in runs
    ]
    if measured.declined is None:
        return slowed
    return [_declining(run, measured.declined) if run.candidate == answering else run for run in slowed]


def _declining(run: RunRecord, share: float) -> RunRecord:
    """The run as if it had declined this share: what is newly declined is no longer wrong, what is newly answered errs as the rest."""
    declined = [item.scores.get(DECLINED, 0.0) for item in run.items]
    was = sum(declined) / len(declined)
    if was >= 1.0:
        return run
    wrong = sum(item.scores.get(WRONG, 0.0) for item in run.items) / len(run.items)
    ratio = wrong / (1 - was)

    def changed(item: ItemResult) -> ItemResult:
        before, mistaken = item.scores.get(DECLINED, 0.0), item.scores.get(WRONG, 0.0)
        if share >= was:
            moved = (share - was) / (1 - was)
            scores = {DECLINED: before + (1 - before) * moved, WRONG: mistaken * (1 - moved)}
        else:
            moved = 1 - share / was
            scores = {DECLINED: before * (1 - moved), WRONG: mistaken + before * moved * ratio}
        return replace(item, scores={**item.scores, **scores})

    return replace(run, items=tuple(changed(item) for item in run.items))
