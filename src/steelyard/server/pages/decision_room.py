"""The room *Decision*: the report alive. Numbers come in as form fields; verdicts, curves and words go out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from steelyard.decision import charts, sentences, wording
from steelyard.schema.errors import FactsError
from steelyard.schema.weighing import ComponentResult, WeighReport
from steelyard.server.pages import moved_words
from steelyard.server.pages.cost_chart import SIZES, cost_chart
from steelyard.workspace.moving import UPDATES, Knob, MovableDecision

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Traffic": ("queries_per_month", "growth_per_month"),
    "Changes a year": (UPDATES,),
    "Errors": ("wrong_answer_usd", "handoff_usd"),
    "Prices": ("hour_usd", "label_usd", "cpu_hour_usd"),
    "Time": ("horizon_months",),
}
"""Headings of the form, and the inputs under them; a name that ends in `_` takes all that begin with it."""

UNITS: Mapping[str, str] = {
    "queries_per_month": "a month",
    "growth_per_month": "% a month",
    "horizon_months": "months",
    "wrong_answer_usd": "USD each",
    "handoff_usd": "USD each",
    "hour_usd": "USD an hour",
    "label_usd": "USD a label",
    "cpu_hour_usd": "USD an hour",
}

NAMES: Mapping[str, str] = {
    "queries_per_month": "Queries",
    "growth_per_month": "Growth",
    "horizon_months": "Horizon",
    "wrong_answer_usd": "Wrong answer",
    "handoff_usd": "Handoff",
    "hour_usd": "Labour",
    "label_usd": "Labelling",
    "cpu_hour_usd": "Core",
}

SLIDER_SPAN = 100.0
"""A slider of a positive number runs from a hundredth of where it stood to a hundredfold, within the bounds."""

SLIDER_ENDS: Mapping[str, tuple[float, float]] = {"growth_per_month": (0.0, 20.0), "horizon_months": (3.0, 60.0)}
"""Ends of the sliders that are not spread around where they stood, in the form's unit."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """One number of the form. `value` and `low`, `high` are in the form's unit (per cent for growth); `at` is the decided value."""

    name: str
    label: str
    unit: str
    value: str
    at: str
    low: str
    high: str
    step: str
    slide_low: float
    slide_high: float
    log: bool
    wrong: str | None = None


def read_numbers(form: Mapping[str, str], knobs: Sequence[Knob]) -> tuple[dict[str, float], dict[str, str]]:
    """The moved numbers of a form, and what is wrong with the others by name; empty and untouched fields are left out."""
    numbers: dict[str, float] = {}
    wrong: dict[str, str] = {}
    for knob in knobs:
        text = form.get(knob.name, "").replace(",", "").strip()
        if not text:
            continue
        try:
            value = knob.check(_inward(knob.name, float(text)))
        except FactsError as error:
            wrong[knob.name] = error.message
        except ValueError:
            wrong[knob.name] = f"'{text[:20]}' is not a number."
        else:
            if value != knob.at:
                numbers[knob.name] = value
    return numbers, wrong


def fields(
    knobs: Sequence[Knob], numbers: Mapping[str, float], wrong: Mapping[str, str], form: Mapping[str, str]
) -> dict[str, list[Field]]:
    """The form's fields under their headings; headings without a field are left out."""
    found: dict[str, list[Field]] = {}
    for heading, names in GROUPS.items():
        for knob in knobs:
            if any(knob.name == name or (name.endswith("_") and knob.name.startswith(name)) for name in names):
                value = form[knob.name] if knob.name in wrong else _written(knob.name, numbers.get(knob.name, knob.at))
                found.setdefault(heading, []).append(_field(knob, value, wrong.get(knob.name)))
    return found


def context(movable: MovableDecision, form: Mapping[str, str]) -> dict[str, Any]:
    """Everything that the room's template shows."""
    numbers, wrong = read_numbers(form, movable.knobs)
    return {
        "groups": fields(movable.knobs, numbers, wrong, form),
        "wrong": wrong,
        **moved_context(movable, numbers),
    }


def moved_context(movable: MovableDecision, numbers: Mapping[str, float]) -> dict[str, Any]:
    """What follows from the numbers: verdicts, sentences, curves."""
    before = movable.stored
    after = movable.at(numbers) if numbers else before
    return {
        "report": after,
        "stored": before,
        "is_moved": bool(numbers),
        "moved": moved_words.moved_inputs(before, after),
        "told": moved_words.headline(before, after),
        "changes": {one.component: one for one in moved_words.changes(before, after)},
        "headline": sentences.headline(after),
        "summary": sentences.summary(after),
        "months": after.inputs.get("horizon_months", "the"),
        "chosen": {one.name: sentences.chosen_of(one) for one in after.components},
        "anchor": {one.name: f"part-{at}" for at, one in enumerate(after.components, start=1)},
        "axis": {one.name: charts.quality_axis([each.quality for each in one.candidates]) for one in after.components},
        "curves": {one.name: _curves(one, before) for one in after.components},
        "rows": {one.name: _rows(one) for one in after.components},
        "longest": {one.name: _longest(one) for one in after.components},
        "say": sentences,
    }


def _curves(component: ComponentResult, before: WeighReport) -> dict[str, Any]:
    if component.curve is None:
        return {}
    approaches = {one.name: one.approach for one in component.candidates}
    decided = before.inputs.get("queries_per_month")
    at = float(decided) if isinstance(decided, int | float) else None
    return {size: cost_chart(component.curve, approaches, size, at) for size in SIZES}


def _rows(component: ComponentResult) -> list[Any]:
    """The measured candidates, those that may be chosen first, each group by what it costs."""
    measured = [one for one in component.candidates if one.quality is not None]
    return sorted(measured, key=lambda one: (not one.feasible, one.usd_total or 0.0))


def _longest(component: ComponentResult) -> float:
    return max((one.usd_high or one.usd_total or 0.0 for one in _rows(component)), default=0.0) or 1.0


def _field(knob: Knob, value: str, wrong: str | None) -> Field:
    name = knob.name
    own = name.removeprefix(UPDATES) if name.startswith(UPDATES) else None
    low, high, at = (_outward(name, one) for one in (knob.low, knob.high, knob.at))
    log = name not in SLIDER_ENDS and at > 0
    ends = SLIDER_ENDS.get(name) or (max(low, at / SLIDER_SPAN), min(high, at * SLIDER_SPAN if at else 10.0))
    return Field(
        name=name,
        label=f"Of {own}" if own else NAMES.get(name, wording.input_name(name).capitalize()),
        unit="" if own else UNITS.get(name, ""),
        value=value,
        at=_written(name, knob.at),
        low=f"{low:g}",
        high=f"{high:.0f}" if high >= 1e6 else f"{high:g}",
        step="1" if knob.whole else "any",
        slide_low=min(ends[0], at),
        slide_high=max(ends[1], at),
        log=log,
        wrong=wrong,
    )


def _written(name: str, value: float) -> str:
    shown = _outward(name, value)
    return f"{shown:.0f}" if shown == round(shown) else f"{shown:.6g}"


def _outward(name: str, value: float) -> float:
    return round(100 * value, 6) if name == "growth_per_month" else value


def _inward(name: str, value: float) -> float:
    return round(value / 100, 8) if name == "growth_per_month" else value
