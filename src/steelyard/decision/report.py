"""The three files of a decision: `report.html`, `decision.md`, `decision.json`; made from records, without any model."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from steelyard.decision import charts, sentences, wording
from steelyard.decision.ageing_chart import SIZES, ageing_chart, ageing_lines, ageing_sentence
from steelyard.schema.weighing import ComponentResult, WeighReport
from steelyard.version import __version__

SHOWN_REASONS = 6
"""Reasons shown for a component; the rest add nothing that a lead would weigh."""


def render_report(report: WeighReport) -> str:
    """The self-contained page: no script, no outside file; readable at a phone's width and on paper."""
    return str(_template("report.html.j2").render(**_words(report), **_pictures(report)))


def render_record(report: WeighReport) -> str:
    """The decision as an architecture decision record in Markdown, to commit beside the code."""
    text = str(_template("decision.md.j2").render(**_words(report)))
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def render_json(report: WeighReport) -> str:
    """The decision as JSON, with the keys of `weigh --json`; a number that is not finite becomes null."""
    return json.dumps(_finite(report.to_json()), indent=2, ensure_ascii=False, allow_nan=False, default=str) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple) else value


def _words(report: WeighReport) -> dict[str, Any]:
    return {
        "report": report,
        "version": __version__,
        "months": report.inputs.get("horizon_months", "the"),
        "chosen": {component.name: sentences.chosen_of(component) for component in report.components},
        "headline": sentences.headline(report),
        "summary": sentences.summary(report),
        "steps": sentences.next_steps(report),
        "shown_reasons": SHOWN_REASONS,
        "say": sentences,
        "w": wording,
    }


def _pictures(report: WeighReport) -> dict[str, Any]:
    months = int(report.inputs.get("horizon_months", 24))
    return {
        # Names come from the settings, so anchors are numbered: a name need not be a valid one.
        "anchor": {component.name: f"part-{at}" for at, component in enumerate(report.components, start=1)},
        "axis": {
            component.name: charts.quality_axis([one.quality for one in component.candidates])
            for component in report.components
        },
        "systems_axis": charts.quality_axis([one.quality for one in report.systems]),
        "bars": {component.name: charts.cost_bars(component.candidates) for component in report.components},
        "curves": {component.name: _curves(component, months) for component in report.components},
        "curve_lines": {
            component.name: charts.curve_lines(component.curve, _approaches(component)) if component.curve else {}
            for component in report.components
        },
        "legend": charts.legend,
        "ageing": {component.name: _ageing(component) for component in report.components},
        "ageing_lines": {
            component.name: ageing_lines(component.ageing) if component.ageing else {}
            for component in report.components
        },
        "ageing_sentence": ageing_sentence,
        "learning": {component.name: _learning(component) for component in report.components},
    }


def _learning(component: ComponentResult) -> Mapping[str, str]:
    """The picture of a learning curve in every size, and its sentence; empty where none was measured."""
    if component.learning is None:
        return {}
    from markupsafe import Markup

    from steelyard.decision.learning_chart import SIZES, learning_chart, learning_sentence

    # Only what Altair drew is taken as it is; the sentence is escaped like any other.
    drawn = {size: Markup(learning_chart(component.learning, size)) for size in SIZES}
    return {**drawn, "sentence": learning_sentence(component.learning)}


def _curves(component: ComponentResult, months: int) -> Mapping[str, str]:
    if component.curve is None:
        return {}
    from markupsafe import Markup

    sides = sentences.cheaper_sides(component)
    return {
        size: Markup(charts.cost_curve(component.curve, _approaches(component), months, size, sides))
        for size in charts.CURVE_SIZES
    }


def _ageing(component: ComponentResult) -> Mapping[str, str]:
    if not component.ageing or not component.ageing.get("steps"):
        return {}
    from markupsafe import Markup

    return {size: Markup(ageing_chart(component.ageing, size)) for size in SIZES}


def _approaches(component: ComponentResult) -> dict[str, str]:
    return {one.name: one.approach for one in component.candidates}


@lru_cache(maxsize=4)
def _template(name: str) -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    # Documents are data: whatever comes from them is escaped, as HTML in the page and as Markdown in the record.
    environment = Environment(
        loader=PackageLoader("steelyard.decision"),
        autoescape=name.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = wording.cell
    return environment.get_template(name)
