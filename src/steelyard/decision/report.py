"""The three files of a decision: `report.html`, `decision.md`, `decision.json`; made from records, without any model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from steelyard.decision import charts, wording
from steelyard.schema.weighing import CandidateResult, ComponentResult, WeighReport
from steelyard.version import __version__

CURVE_CANDIDATES = 4
"""Lines in a cost curve; more cannot be told apart."""


def render_report(report: WeighReport) -> str:
    """The self-contained page: no script, no outside file; readable at a phone's width."""
    return str(_template("report.html.j2").render(**_context(report), charts=_charts(report)))


def render_record(report: WeighReport) -> str:
    """The decision as an architecture decision record in Markdown, to commit beside the code."""
    return str(_template("decision.md.j2").render(**_context(report)))


def render_json(report: WeighReport) -> str:
    """The decision as JSON, with the keys of `weigh --json`."""
    return json.dumps(report.to_json(), indent=2, ensure_ascii=False, allow_nan=False, default=str) + "\n"


def _context(report: WeighReport) -> dict[str, Any]:
    return {
        "report": report,
        "version": __version__,
        "chosen": {component.name: _chosen(component) for component in report.components},
        "headline": wording.headline(report),
        "summary": wording.summary(report),
        "steps": wording.next_steps(report),
        "system_sentence": wording.system_sentence(report),
        "curve_sentence": wording.curve_sentence,
        "verdict_name": wording.verdict_name,
        "approach_name": wording.verdict_name,
        "metric_name": wording.metric_name,
        "interval": wording.interval_text,
        "pct": wording.percent,
        "pct0": lambda value: wording.percent(value, 0),
        "points": wording.points,
        "usd": wording.usd,
        "usd_fine": wording.usd_fine,
        "ms": wording.milliseconds,
        "seconds": wording.seconds,
        "signed": wording.signed,
        "number": wording.number,
    }


def _chosen(component: ComponentResult) -> CandidateResult | None:
    return next((one for one in component.candidates if one.name == component.decision.candidate), None)


def _charts(report: WeighReport) -> dict[str, Any]:
    from markupsafe import Markup

    made: dict[str, Any] = {}
    if report.systems:
        made["systems"] = Markup(charts.systems_chart(report.systems))
    months = int(report.inputs.get("horizon_months", 24))
    for component in report.components:
        made[component.name] = {name: Markup(svg) for name, svg in _component_charts(component, months).items()}
    return made


def _component_charts(component: ComponentResult, months: int) -> Mapping[str, str]:
    made = {"quality": charts.quality_chart(component)}
    approaches = {one.name: one.approach for one in component.candidates}
    if component.curve is not None:
        made["curve"] = charts.cost_curve_chart(component.curve, approaches, months)
    priced = [one for one in component.candidates if one.usd_lines and one.quality is not None]
    if priced:
        made["lines"] = charts.cost_lines_chart(priced)
    if component.sensitivity:
        made["sensitivity"] = charts.sensitivity_chart(component.sensitivity)
    return made


@lru_cache(maxsize=4)
def _template(name: str) -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    # Documents are data: everything that comes from them is escaped in the page. Markdown has no such need for escapes of HTML.
    environment = Environment(
        loader=PackageLoader("steelyard.decision"),
        autoescape=name.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
