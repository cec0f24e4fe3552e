"""Plots of an analysis: totals over volume with the break-even marked, what each option costs by line, what decides it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import altair as alt

from steelyard.economics.labels import LINE_GROUPS, round_values, shown
from steelyard.schema.costs import Analysis
from steelyard.schema.errors import FactsError

COLOURS = {"rag": "#0072B2", "fine_tune": "#D55E00", "prompt": "#009E73", "hybrid": "#CC79A7"}
"""By approach; from the palette of Okabe and Ito, told apart by colour-blind readers too."""

SPARE_COLOURS = ("#E69F00", "#56B4E9", "#7F7F7F", "#B8A200", "#000000")
"""For a second option of the same approach."""

GROUP_COLOURS = ("#1b4f72", "#5499c7", "#2e86c1", "#85c1e9", "#7d6608", "#b7950b", "#e67e22", "#b03a2e", "#6c3483")

USD_LABEL = "datum.value == 0 ? '$0' : format(datum.value, '$~s')"
"""Axis labels such as $50k; the format alone writes zero as $0k."""

WIDTH = 640
FORMATS = (".svg", ".png", ".html")
PNG_SCALE = 2
"""Pixels per point of a PNG: sharp on a slide."""

LEAST_USD = 0.01
"""A cent: where a logarithmic axis starts for what costs nothing."""

MOST_INPUTS = 10
"""Bars in the sensitivity panel; the rest decide nothing."""


def analysis_chart(analysis: Analysis) -> alt.VConcatChart:
    """All panels: totals over volume, totals by line, and, where inputs are ranges, what each does to the difference."""
    colours = option_colours(analysis)
    panels: list[Any] = [volume_panel(analysis, colours), lines_panel(analysis)]
    if analysis.simulation.inputs:
        panels.append(sensitivity_panel(analysis))
    chart = alt.vconcat(*panels, spacing=28).resolve_scale(color="independent")
    return cast(
        alt.VConcatChart,
        chart.configure(font="DejaVu Sans, Helvetica, Arial, sans-serif", background="white", padding=18)
        .configure_view(stroke=None)
        .configure_axis(
            grid=True,
            gridColor="#ececec",
            domainColor="#999999",
            tickColor="#999999",
            labelFontSize=11,
            titleFontSize=12,
        )
        .configure_title(
            fontSize=14, anchor="start", frame="group", subtitleColor="#555555", subtitleFontSize=11, offset=10
        )
        .configure_legend(labelFontSize=11, titleFontSize=11),
    )


def save_plot(analysis: Analysis, path: Path) -> None:
    """Write the plot: the ending chooses SVG, PNG or a self-contained HTML page.

    Raises:
        FactsError: another ending, or the file cannot be written.
    """
    write_chart(lambda: analysis_chart(analysis), path, code="economics.plot")


def write_chart(made: Callable[[], Any], path: Path, *, code: str) -> None:
    """Write the chart that `made` gives; a wrong ending is refused before it is drawn. Errors are `{code}_format` and `{code}_unwritable`.

    Raises:
        FactsError: the name does not end with one of FORMATS, or the file cannot be written.
    """
    ending = path.suffix.lower()
    if ending not in FORMATS:
        raise FactsError(
            f"a plot cannot be written as '{path.suffix or path.name}'.",
            where=str(path),
            remedy=f"End the name with one of {', '.join(FORMATS)}.",
            code=f"{code}_format",
        )
    chart = made()
    try:
        if ending == ".html":
            path.write_text(chart.to_html(inline=True), encoding="utf-8")
        else:
            chart.save(str(path), scale_factor=PNG_SCALE if ending == ".png" else 1)
    except OSError as error:
        raise FactsError(
            f"the plot could not be written: {(error.strerror or 'unknown reason').lower()}.",
            where=str(path),
            remedy="Check the folder and its permissions.",
            code=f"{code}_unwritable",
        ) from error


def option_colours(analysis: Analysis) -> dict[str, str]:
    """A colour for each option: its approach's, or a spare one where that is taken."""
    spare = list(SPARE_COLOURS)
    colours: dict[str, str] = {}
    for cost in analysis.costs:
        own = COLOURS[cost.approach]
        colours[cost.name] = own if own not in colours.values() else spare.pop(0) if spare else "#7F7F7F"
    return colours


def volume_panel(analysis: Analysis, colours: dict[str, str]) -> alt.LayerChart:
    """Totals over volume, logarithmic both ways, with bands and the break-even."""
    points = [
        {
            "option": shown(point.option),
            "queries": point.queries_per_month,
            "usd": max(point.usd, LEAST_USD),
            "low": max(point.low_usd, LEAST_USD),
            "high": max(point.high_usd, LEAST_USD),
        }
        for point in analysis.curve
    ]
    ends = [end for point in analysis.curve for end in (point.low_usd, point.high_usd)]
    lowest, highest = max(min(ends), LEAST_USD) * 0.8, max(*ends, 100 * LEAST_USD) * 1.15
    volumes = [point.queries_per_month for point in analysis.curve]
    x = alt.X(
        "queries:Q",
        title="queries a month (in the first month)",
        axis=alt.Axis(format="~s", values=round_values(min(volumes), max(volumes))),
    ).scale(type="log", nice=False)
    y_scale = alt.Scale(type="log", nice=False, domain=[lowest, highest], clamp=True)
    y = alt.Y("usd:Q", title="total over the horizon, USD", scale=y_scale).axis(
        format="$~s", values=round_values(lowest, highest)
    )
    colour = alt.Color(
        "option:N",
        scale=alt.Scale(domain=[shown(name) for name in colours], range=list(colours.values())),
        title=None,
        legend=alt.Legend(orient="top-left", offset=8, symbolOpacity=1),
    )
    base = alt.Chart(alt.Data(values=points))
    band = base.mark_area(opacity=0.16).encode(x, alt.Y("low:Q", scale=y_scale), alt.Y2("high:Q"), colour)
    line = base.mark_line(strokeWidth=2.4).encode(x, y, colour)
    layers = [band, line, *_break_even_mark(analysis), *_now_mark(analysis)]
    uncertain = bool(analysis.simulation.inputs)
    subtitle = "bands: 90 % of the draws" if uncertain else "no ranges in the scenario, so no bands"
    return cast(
        alt.LayerChart,
        alt.layer(*layers).properties(
            width=WIDTH, height=320, title=alt.TitleParams("What each option costs, by volume", subtitle=subtitle)
        ),
    )


def _break_even_mark(analysis: Analysis) -> list[alt.Chart]:
    even = analysis.break_even
    volumes = [point.queries_per_month for point in analysis.curve]
    if even is None or not even.queries_per_month or not min(volumes) <= float(even.queries_per_month) <= max(volumes):
        return []
    volume = float(even.queries_per_month)
    text = f"{shown(even.first)} = {shown(even.second)} at {volume:,.0f}"
    mark = alt.Chart(alt.Data(values=[{"queries": volume, "text": text}])).encode(alt.X("queries:Q"))
    to_left = volume > (min(volumes) * max(volumes)) ** 0.5
    return [
        mark.mark_rule(color="#222222", strokeDash=[5, 4]),
        mark.mark_text(
            align="right" if to_left else "left",
            dx=-6 if to_left else 6,
            fontSize=12,
            fontWeight="bold",
            color="#222222",
        ).encode(y=alt.value(308), text="text:N"),
    ]


def _now_mark(analysis: Analysis) -> list[alt.Chart]:
    """A point on each option's line at the scenario's own volume."""
    volumes = sorted({point.queries_per_month for point in analysis.curve})
    now = float(analysis.queries_per_month)
    if not volumes[0] <= now <= volumes[-1]:
        return []
    dots = [{"queries": now, "usd": float(cost.total_usd), "text": "this scenario"} for cost in analysis.costs]
    lowest = min(dots, key=lambda dot: float(cast(float, dot["usd"])))
    dot = alt.Chart(alt.Data(values=dots)).mark_point(filled=True, size=55, color="#222222", opacity=1)
    text = alt.Chart(alt.Data(values=[lowest])).mark_text(align="left", dx=8, dy=12, fontSize=11, color="#222222")
    text = text.encode(text="text:N")
    place = alt.X("queries:Q"), alt.Y("usd:Q").scale(type="log")
    return [dot.encode(*place), text.encode(*place)]


def lines_panel(analysis: Analysis) -> alt.LayerChart:
    """Each option's total at the scenario's volume, stacked by groups of lines."""
    rows = [
        {"option": shown(cost.name), "group": group, "order": order, "usd": usd}
        for cost in analysis.costs
        for order, (group, lines) in enumerate(LINE_GROUPS.items())
        if (usd := float(sum(cost.lines[line] for line in lines))) > 0
    ]
    present = [group for group in LINE_GROUPS if any(row["group"] == group for row in rows)]
    colour = dict(zip(LINE_GROUPS, GROUP_COLOURS, strict=True))
    scale = alt.Scale(domain=present, range=[colour[group] for group in present])
    order = [shown(cost.name) for cost in analysis.costs]
    y = alt.Y("option:N", sort=order, title=None, axis=alt.Axis(labelFontSize=12, ticks=False, domain=False))
    bars = (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(height={"band": 0.62})
        .encode(
            y,
            alt.X("usd:Q", stack="zero", title="USD over the horizon", axis=alt.Axis(labelExpr=USD_LABEL, tickCount=7)),
            alt.Color("group:N", scale=scale, title=None, legend=alt.Legend(orient="bottom", columns=5)),
            alt.Order("order:Q"),
        )
    )
    totals = [
        {"option": shown(cost.name), "usd": float(cost.total_usd), "text": f"${cost.total_usd:,.0f}"}
        for cost in analysis.costs
    ]
    labels = (
        alt.Chart(alt.Data(values=totals))
        .mark_text(align="left", dx=6, fontWeight="bold", fontSize=12)
        .encode(y, alt.X("usd:Q"), text="text:N")
    )
    return cast(
        alt.LayerChart,
        alt.layer(bars, labels).properties(
            width=WIDTH, height=46 * len(order), title="Where the money goes in this scenario"
        ),
    )


def sensitivity_panel(analysis: Analysis) -> alt.LayerChart:
    """A tornado: the difference between the two leading options as each input moves alone, most telling input first."""
    effects = analysis.simulation.inputs[:MOST_INPUTS]
    leaders = [shown(name) for name in analysis.simulation.leaders]
    rows = [
        {"input": effect.input, "end": end, "usd": float(usd), "middle": _middle(analysis)}
        for effect in effects
        for end, usd in (("5th percentile", effect.low_usd), ("95th percentile", effect.high_usd))
    ]
    y = alt.Y(
        "input:N", sort=[effect.input for effect in effects], title=None, axis=alt.Axis(labelLimit=240, ticks=False)
    )
    title = f"{leaders[-1]} less {leaders[0]}, USD over the horizon" if len(leaders) > 1 else f"{leaders[0]}, USD"
    bars = (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(height={"band": 0.6}, opacity=0.9)
        .encode(
            y,
            alt.X("usd:Q", title=title, axis=alt.Axis(labelExpr=USD_LABEL, tickCount=7)),
            alt.X2("middle:Q"),
            alt.Color(
                "end:N",
                title="input at its",
                scale=alt.Scale(domain=["5th percentile", "95th percentile"], range=["#9aa5b1", "#34495e"]),
                legend=alt.Legend(orient="bottom"),
            ),
        )
    )
    zero = alt.Chart(alt.Data(values=[{"usd": 0}])).mark_rule(color="#222222", strokeDash=[5, 4]).encode(alt.X("usd:Q"))
    subtitle = f"left of 0 {leaders[-1]} is the cheaper, right of 0 {leaders[0]}" if len(leaders) > 1 else ""
    return cast(
        alt.LayerChart,
        alt.layer(bars, zero).properties(
            width=WIDTH,
            height=24 * len(effects) + 10,
            title=alt.TitleParams("Which input decides it", subtitle=subtitle),
        ),
    )


def _middle(analysis: Analysis) -> float:
    """The difference with every input at its point: where the bars of the tornado start."""
    totals = {cost.name: cost.total_usd for cost in analysis.costs}
    leaders = analysis.simulation.leaders
    return float(totals[leaders[1]] - totals[leaders[0]]) if len(leaders) > 1 else float(totals[leaders[0]])
