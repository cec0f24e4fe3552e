"""Whole systems, end to end: pure retrieval, pure fine-tuned, and the hybrid put together from the recommendations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from steelyard.candidates.system import System, SystemOutput
from steelyard.components.slots import ANSWER_SLOT
from steelyard.dataset.places import places_of
from steelyard.evaluation.run import WARM_UP, request_of, same_asker, scope_of
from steelyard.metrics.answers import contains_answer, leaks
from steelyard.metrics.classify import decided_label
from steelyard.metrics.statistics import compare_all, mean_interval
from steelyard.schema.errors import SteelyardError, StoppedError
from steelyard.schema.items import Approach, Item
from steelyard.schema.scope import Access, Scope
from steelyard.schema.statistics import Comparison, Interval
from steelyard.schema.weighing import ComponentResult, SystemResult

PURE: Mapping[str, Approach] = {"pure_rag": "rag", "pure_fine_tune": "fine_tune"}
SAMPLES = 6


@dataclass(frozen=True, kw_only=True)
class CaseResult:
    """What a system made of one case; `right` means right in every part that was measured."""

    case: str
    text: str
    output: str
    expected: str
    scores: Mapping[str, float]
    right: float
    seconds: float
    leaks: int


def parts_of(name: str, components: Sequence[ComponentResult]) -> dict[str, str] | None:
    """Which candidate each component contributes to a system; None when one has none to give.

    `hybrid` takes the recommendations; a pure system takes the best-measured candidate of its approach, feasible or not: the
    question is what the pure system would have done.
    """
    parts: dict[str, str] = {}
    for component in components:
        if name == "hybrid":
            chosen = component.decision.candidate
        else:
            able = [one for one in component.candidates if one.approach == PURE[name] and one.quality is not None]
            chosen = max(able, key=lambda one: one.quality.mean if one.quality else 0.0).name if able else None
        if chosen is None:
            return None
        parts[component.name] = chosen
    return parts


def run_cases(
    system: System,
    cases: Sequence[Item],
    *,
    access_of: Callable[[str, str], Access | None],
    resolve: Callable[[Scope], Scope] = same_asker,
    out_of_scope_label: str = "out_of_scope",
) -> tuple[CaseResult, ...]:
    """Every case through the system, scored part by part. A message out of scope is routed right when it is declined.

    `resolve` gives an asker the groups that the directory adds. A case on which a part raises a `SteelyardError` is wrong in all parts.

    Raises:
        StoppedError: a generator cannot be called until the user acts.
    """
    for case in cases[:WARM_UP]:
        _respond(system, case)
    return tuple(_one(system, case, access_of, resolve, out_of_scope_label) for case in cases)


def _one(
    system: System,
    case: Item,
    access_of: Callable[[str, str], Access | None],
    resolve: Callable[[Scope], Scope],
    out_of_scope_label: str,
) -> CaseResult:
    start = perf_counter()
    output = _respond(system, case)
    if output is None:
        return _failed(system, case, perf_counter() - start)
    scores: dict[str, float] = {}
    if output.routed is not None and case.label is not None:
        scores["intent"] = float(decided_label(output.routed, out_of_scope_label) == case.label)
    answered = output.answered
    leaked = 0
    if system.answerer is not None:
        scores["answer"] = _answer_score(case, output)
        if answered is not None:
            leaked = leaks(answered, resolve(scope_of(case)), access_of if answered.citations else None, case)
    if output.written is not None:
        scores["reply"] = _reply_score(case, output)
    return CaseResult(
        case=case.id,
        text=case.text,
        output=output.text,
        expected=_expected(case),
        scores=scores,
        right=float(bool(scores) and all(value == 1.0 for value in scores.values())),
        seconds=output.seconds,
        leaks=leaked,
    )


def _respond(system: System, case: Item) -> SystemOutput | None:
    try:
        return system.respond(request_of(case), scope_of(case))
    except StoppedError:
        raise
    except SteelyardError:
        return None


def _failed(system: System, case: Item, seconds: float) -> CaseResult:
    parts = (("intent", system.router), ("answer", system.answerer), ("reply", system.writer))
    return CaseResult(
        case=case.id,
        text=case.text,
        output="",
        expected=_expected(case),
        scores={name: 0.0 for name, part in parts if part is not None},
        right=0.0,
        seconds=seconds,
        leaks=0,
    )


def _expected(case: Item) -> str:
    return case.answers[0] if case.answerable and case.answers else ""


def _answer_score(case: Item, output: SystemOutput) -> float:
    # Scored on the finished reply where there is one: a fact that the writer lost has not reached the customer.
    said = output.answered is not None and not output.answered.abstained and bool(output.answered.text)
    if not case.answerable:
        return float(not said)
    return float(said and contains_answer(output.text, case.answers) > 0)


def _reply_score(case: Item, output: SystemOutput) -> float:
    given = {name: value for name, value in case.slots.items() if name != ANSWER_SLOT}
    written = output.written
    if written is None or written.abstained or not written.text:
        return 0.0
    # Braces that came in with a slot value are part of it; only the template's own places must be gone.
    if any(f"{{{place}}}" in written.text for place in places_of(written.template or "")):
        return 0.0
    # The customer's and the agent's names must stand in every reply; other values only where the template has a place.
    needed = [given[name] for name in ("name", "agent") if name in given]
    on_topic = written.label is None or case.label is None or written.label == case.label
    return float(on_topic and all(value in written.text for value in needed))


def system_result(
    name: str,
    parts: Mapping[str, str],
    results: Sequence[CaseResult],
    components: Sequence[ComponentResult],
    *,
    seed: int = 0,
) -> SystemResult:
    """One system's record: shares with intervals, latency, and the money of its parts together."""
    chosen = [
        next(one for one in component.candidates if one.name == parts[component.name]) for component in components
    ]
    seconds = np.array([result.seconds for result in results]) * 1000
    names = dict.fromkeys(name for result in results for name in result.scores)
    metrics: dict[str, Interval] = {
        part: mean_interval([result.scores[part] for result in results if part in result.scores], seed=seed)
        for part in names
    }
    shown = sorted(results, key=lambda result: result.right)[: SAMPLES // 2]
    shown += [result for result in results if result.right][: SAMPLES - len(shown)]
    return SystemResult(
        name=name,
        parts=dict(parts),
        quality=mean_interval([result.right for result in results], seed=seed),
        metrics=metrics,
        p50_ms=float(np.percentile(seconds, 50)),
        p95_ms=float(np.percentile(seconds, 95)),
        usd_per_query=sum(one.usd_per_query or 0.0 for one in chosen),
        usd_total=sum(one.usd_total or 0.0 for one in chosen),
        leaks=sum(result.leaks for result in results),
        samples=tuple(
            {"text": one.text, "output": one.output, "expected": one.expected, "right": bool(one.right)}
            for one in shown
        ),
    )


def compare_systems(results: Mapping[str, Sequence[CaseResult]], seed: int = 0) -> tuple[Comparison, ...]:
    """Every pair of systems on the same cases, paired and corrected for their number."""
    if len(results) < 2:
        return ()
    return tuple(compare_all({name: [one.right for one in rows] for name, rows in results.items()}, None, seed))
