"""The plot of a decision: what each approach costs by volume, which verdict holds where, and what the criteria weigh."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import altair as alt
import numpy as np

from steelyard.decision.case import Case
from steelyard.decision.money import price
from steelyard.decision.phrases import said
from steelyard.decision.unknowns import completions, known
from steelyard.decision.verdict import judge
from steelyard.economics.plots import COLOURS, write_chart
from steelyard.schema.decision import ComponentDecision, Decision, Facts, FactSheet

OPEN_COLOUR = "#B8A200"
WIDTH = 640
POINTS = 37
LOWEST_QUERIES, HIGHEST_QUERIES = 1_000.0, 30_000_000.0
MOST_REASONS = 9
MOST_COMPONENTS = 12


def save_plot(sheet: FactSheet, decision: Decision, path: Path) -> None:
    """Write the plot of a decision: the ending chooses SVG, PNG or a self-contained HTML page.

    Raises:
        FactsError: another ending, or the file cannot be written.
    """
    write_chart(lambda: decision_chart(sheet, decision), path, code="facts.plot")


def decision_chart(sheet: FactSheet, decision: Decision) -> Any:
    """Per component: cost by volume with the verdict that holds there, and the weights of the criteria."""
    panels: list[Any] = []
    for facts, one in list(zip(sheet.components, decision.components, strict=True))[:MOST_COMPONENTS]:
        panels += [_volume_panel(facts, one), _reasons_panel(one)]
    chart = alt.vconcat(*panels, spacing=24).resolve_scale(color="independent")
    return (
        chart.configure(font="DejaVu Sans, Helvetica, Arial, sans-serif", background="white", padding=18)
        .configure_view(stroke=None)
        .configure_axis(grid=True, gridColor="#ececec", domainColor="#999999", labelFontSize=11, titleFontSize=12)
        .configure_title(fontSize=14, anchor="start", subtitleColor="#555555", subtitleFontSize=11, offset=10)
    )


def _volume_panel(facts: Facts, one: ComponentDecision) -> Any:
    typical = completions(facts)[0]
    volumes = [float(volume) for volume in np.geomspace(LOWEST_QUERIES, HIGHEST_QUERIES, POINTS)]
    rows, verdicts = [], []
    for place, volume in enumerate(volumes):
        there = known(typical, "queries_per_month", volume)
        case = Case(there, price(there))
        for approach in case.priced:
            # The median, not the mean: the break-even is where half of the draws turn, and the lines must cross there.
            low, middle, high = map(float, np.quantile(case.money.totals[approach], (0.1, 0.5, 0.9)))
            rows.append({"approach": said(approach), "queries": volume, "usd": middle, "low": low, "high": high})
        end = volumes[min(place + 1, POINTS - 1)]
        verdicts.append({"from": volume, "to": end, "verdict": judge(there).verdict.replace("_", " ")})
    names = list(dict.fromkeys(str(row["approach"]) for row in rows))
    by_name = {said(approach): colour for approach, colour in COLOURS.items()}
    colour = alt.Color(
        "approach:N",
        scale=alt.Scale(domain=names, range=[by_name[name] for name in names]),
        title=None,
        legend=alt.Legend(orient="top-left", offset=8, symbolOpacity=1),
    )
    x_scale = alt.Scale(type="log", nice=False, domain=[LOWEST_QUERIES, HIGHEST_QUERIES])
    x = alt.X("queries:Q", scale=x_scale, title=None, axis=alt.Axis(format="~s", tickCount=6))
    y = alt.Y(
        "usd:Q", scale=alt.Scale(type="log"), title="USD over the horizon", axis=alt.Axis(format="$~s", tickCount=5)
    )
    base = alt.Chart(alt.Data(values=rows))
    layers = [
        base.mark_area(opacity=0.15).encode(
            x=x, y=alt.Y("low:Q", scale=alt.Scale(type="log")), y2="high:Q", color=colour
        ),
        base.mark_line(strokeWidth=2.4).encode(x=x, y=y, color=colour),
    ]
    if facts.queries_per_month:
        now = alt.Chart(alt.Data(values=[{"queries": facts.queries_per_month, "text": "now"}])).encode(x=x)
        layers.append(now.mark_rule(color="#222222", strokeDash=[5, 4]))
        layers.append(now.mark_text(align="left", dx=5, color="#222222").encode(y=alt.value(252), text="text:N"))
    layers += _break_even_mark(one, x)
    verdict = one.recommendation.replace("_", " ")
    title = alt.TitleParams(f"{one.component}: {verdict}, confidence {one.confidence:.0%}", subtitle=_legend_line(one))
    curves = alt.layer(*layers).properties(width=WIDTH, height=260, title=title)
    return alt.vconcat(curves, _verdict_strip(verdicts, x_scale), spacing=6).resolve_scale(color="independent")


def _break_even_mark(one: ComponentDecision, x: Any) -> list[Any]:
    """A rule where half of the draws turn, and its volume; nothing where there is none in the picture."""
    volume = one.break_even_queries_per_month
    if volume is None or not LOWEST_QUERIES <= volume <= HIGHEST_QUERIES:
        return []
    mark = alt.Chart(alt.Data(values=[{"queries": volume, "text": f"break-even {volume:,.0f}"}])).encode(x=x)
    to_left = volume > (LOWEST_QUERIES * HIGHEST_QUERIES) ** 0.5
    label = mark.mark_text(
        align="right" if to_left else "left", dx=-6 if to_left else 6, fontWeight="bold", color="#222222"
    )
    return [mark.mark_rule(color="#222222"), label.encode(y=alt.value(236), text="text:N")]


def _legend_line(one: ComponentDecision) -> str:
    """What lines, bands and the break-even mean; the last also where it lies outside the picture."""
    volume = one.break_even_queries_per_month
    told = "lines: the median draw; bands: 80 % of the draws"
    if volume is None:
        return f"{told}; no break-even"
    beyond = "" if LOWEST_QUERIES <= volume <= HIGHEST_QUERIES else f", at {volume:,.0f}, outside the picture"
    return f"{told}; break-even: where half of the draws turn{beyond}"


def _verdict_strip(verdicts: list[dict[str, Any]], x_scale: Any) -> Any:
    order = list(dict.fromkeys(str(row["verdict"]) for row in verdicts))
    palette = {name.replace("_", " "): colour for name, colour in COLOURS.items()}
    colours = [palette.get(name, OPEN_COLOUR if name.startswith("not") else "#7F7F7F") for name in order]
    return (
        alt.Chart(alt.Data(values=verdicts))
        .mark_rect(height=16)
        .encode(
            x=alt.X(
                "from:Q",
                scale=x_scale,
                title="queries a month; the strip: the verdict there",
                axis=alt.Axis(format="~s", tickCount=6, grid=False),
            ),
            x2="to:Q",
            color=alt.Color(
                "verdict:N",
                scale=alt.Scale(domain=order, range=colours),
                title=None,
                legend=alt.Legend(orient="bottom"),
            ),
        )
        .properties(width=WIDTH, height=16)
    )


def _reasons_panel(one: ComponentDecision) -> Any:
    reasons = [reason for reason in one.reasons if reason.weight > 0][:MOST_REASONS]
    rows = [
        {
            "criterion": reason.criterion.replace("_", " "),
            "weight": round(reason.weight, 3),
            "for": reason.argues_for.replace("_", " "),
        }
        for reason in reasons
    ]
    order = [row["criterion"] for row in rows]
    sides = list(dict.fromkeys(str(row["for"]) for row in rows))
    palette = {name.replace("_", " "): colour for name, colour in COLOURS.items()}
    colours = [
        palette.get(side.removeprefix("against "), "#7F7F7F") if not side.startswith("against") else "#9aa5b1"
        for side in sides
    ]
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(height={"band": 0.62})
        .encode(
            x=alt.X("weight:Q", scale=alt.Scale(domain=[0, 1]), title="weight of the criterion"),
            y=alt.Y("criterion:N", sort=order, title=None, axis=alt.Axis(labelLimit=220)),
            color=alt.Color(
                "for:N",
                scale=alt.Scale(domain=sides, range=colours),
                title="argues for",
                legend=alt.Legend(orient="bottom"),
            ),
        )
        .properties(width=WIDTH, height=22 * max(1, len(rows)))
    )
