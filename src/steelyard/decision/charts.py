"""The report's charts, as SVG text: quality, money over volume, where the money goes, what it hangs on, whole systems."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from steelyard.schema.weighing import CandidateResult, ComponentResult, CostCurve, Sensitivity, SystemResult

APPROACH_COLOURS: Mapping[str, str] = {
    "prompt": "#7a7f87",
    "rag": "#12708a",
    "fine_tune": "#c2701c",
    "hybrid": "#6b4ba1",
}
APPROACH_NAMES: Mapping[str, str] = {
    "prompt": "prompt",
    "rag": "retrieval",
    "fine_tune": "fine-tuned",
    "hybrid": "hybrid",
}

INK, MUTED, GRID = "#1d2329", "#66707a", "#e4e7ea"
FONT = "ui-sans-serif, system-ui, 'Segoe UI', Helvetica, Arial, sans-serif"
WIDTH = 640

LINE_GROUPS: Mapping[str, tuple[str, ...]] = {
    "set-up labour": ("setup_labour",),
    "labels": ("setup_labels", "update_labels"),
    "update labour": ("update_labour",),
    "operations labour": ("operations_labour",),
    "hosting and compute": ("hosting", "storage", "compute", "setup_compute", "update_compute", "reranking"),
    "tokens": ("input_tokens", "cached_input_tokens", "output_tokens", "embedding_tokens"),
    "wrong answers": ("wrong_answers",),
    "handoffs": ("handoffs",),
    "migrations": ("migrations",),
}
"""Cost lines as a reader groups them: eighteen colours cannot be told apart."""

LINE_COLOURS = ("#33526b", "#5c7f9c", "#8fb0c9", "#b3c8a0", "#7f9a5f", "#d9b56a", "#c25b4e", "#e3a395", "#8d8d8d")


def quality_chart(component: ComponentResult) -> str:
    """Each measured candidate's mean with its interval, best first; the recommended one is filled."""
    import altair as alt

    rows = [
        {
            "candidate": one.name,
            "mean": one.quality.mean,
            "low": one.quality.low,
            "high": one.quality.high,
            "approach": APPROACH_NAMES[one.approach],
            "chosen": one.name == component.decision.candidate,
        }
        for one in component.candidates
        if one.quality is not None
    ]
    order = [row["candidate"] for row in sorted(rows, key=lambda row: -float(str(row["mean"])))]
    base = alt.Chart(alt.Data(values=rows))
    y = alt.Y("candidate:N", sort=order, title=None)
    colour = _approach_colour([one.approach for one in component.candidates if one.quality is not None])
    low = min((float(str(row["low"])) for row in rows), default=0.0)
    scale = alt.Scale(domain=[max(0.0, low - 0.05), 1.0], nice=False)
    bars = base.mark_rule(strokeWidth=3, opacity=0.45).encode(
        x=alt.X("low:Q", scale=scale, title=component.metric), x2="high:Q", y=y, color=colour
    )
    points = base.mark_point(size=110, filled=False, strokeWidth=2.5).encode(x="mean:Q", y=y, color=colour)
    chosen = (
        base.transform_filter("datum.chosen")
        .mark_point(size=110, filled=True, opacity=1)
        .encode(x="mean:Q", y=y, color=colour)
    )
    labels = base.mark_text(dy=-11, fontSize=11, color=INK).encode(
        x="mean:Q", y=y, text=alt.Text("mean:Q", format=".3f")
    )
    return _svg(bars + points + chosen + labels, height=max(90, 40 * len(rows)))


def cost_curve_chart(curve: CostCurve, approaches: Mapping[str, str], horizon_months: int) -> str:
    """Total cost over the horizon against volume, one line a candidate, today's volume and the break-even marked."""
    import altair as alt

    rows = [
        {"queries": volume, "usd": totals[at], "candidate": name}
        for name, totals in curve.totals.items()
        for at, volume in enumerate(curve.queries_per_month)
    ]
    names = list(curve.totals)
    colour = alt.Color(
        "candidate:N",
        scale=alt.Scale(domain=names, range=[APPROACH_COLOURS[approaches[name]] for name in names]),
        legend=alt.Legend(title=None, orient="top", symbolType="stroke"),
    )
    dash = alt.StrokeDash("candidate:N", scale=alt.Scale(domain=names, range=_dashes(len(names))), legend=None)
    x = alt.X(
        "queries:Q",
        scale=alt.Scale(type="log", nice=False),
        title="queries a month",
        axis=alt.Axis(format="~s", tickCount=6, grid=False),
    )
    y = alt.Y(
        "usd:Q",
        scale=alt.Scale(type="log"),
        title=f"USD over {horizon_months} months",
        axis=alt.Axis(format="$~s", tickCount=5),
    )
    chart: Any = (
        alt.Chart(alt.Data(values=rows)).mark_line(strokeWidth=2.4).encode(x=x, y=y, color=colour, strokeDash=dash)
    )
    marks = [{"queries": curve.at, "text": f"today {_short(curve.at)}"}]
    if curve.break_even is not None and curve.queries_per_month[0] <= curve.break_even <= curve.queries_per_month[-1]:
        marks.append({"queries": curve.break_even, "text": f"break-even {_short(curve.break_even)}"})
    rule = alt.Chart(alt.Data(values=marks)).mark_rule(strokeDash=[4, 3], color=MUTED).encode(x="queries:Q")
    text = (
        alt.Chart(alt.Data(values=marks))
        .mark_text(align="left", dx=5, baseline="top", fontSize=11, color=INK)
        .encode(x="queries:Q", y=alt.value(4), text="text:N")
    )
    return _svg(chart + rule + text, height=260)


def cost_lines_chart(candidates: Sequence[CandidateResult]) -> str:
    """Where the money goes: the cost lines of each priced candidate, stacked."""
    import altair as alt

    rows = [
        {
            "candidate": one.name,
            "line": group,
            "usd": sum(one.usd_lines.get(line, 0.0) for line in lines),
            "order": place,
        }
        for one in candidates
        for place, (group, lines) in enumerate(LINE_GROUPS.items())
    ]
    rows = [row for row in rows if float(str(row["usd"])) > 0]
    lines = [group for group in LINE_GROUPS if any(row["line"] == group for row in rows)]
    names = [one.name for one in candidates if one.usd_lines]
    palette = [LINE_COLOURS[list(LINE_GROUPS).index(line)] for line in lines]
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(size=20)
        .encode(
            x=alt.X("usd:Q", title="USD over the horizon", axis=alt.Axis(format="$~s", tickCount=6)),
            y=alt.Y("candidate:N", sort=names, title=None),
            color=alt.Color(
                "line:N",
                sort=lines,
                scale=alt.Scale(domain=lines, range=palette),
                legend=alt.Legend(title=None, orient="top", columns=4),
            ),
            order=alt.Order("order:Q"),
        )
    )
    return _svg(chart, height=max(70, 34 * len(names)))


def sensitivity_chart(sensitivity: Sequence[Sensitivity]) -> str:
    """The inputs on which the cost comparison hangs, strongest first."""
    import altair as alt

    rows = [{"input": _plain(one.input), "share": one.total_order} for one in sensitivity[:8]]
    order = [row["input"] for row in rows]
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(color="#33526b", size=14)
        .encode(
            x=alt.X(
                "share:Q", title="share of the uncertainty (Sobol total-order index)", scale=alt.Scale(domain=[0, 1])
            ),
            y=alt.Y("input:N", sort=order, title=None, axis=alt.Axis(labelLimit=230)),
        )
    )
    return _svg(chart, height=max(60, 26 * len(rows)), width=WIDTH - 90)


def systems_chart(systems: Sequence[SystemResult]) -> str:
    """Whole systems: share of cases handled right in all their parts, with intervals."""
    import altair as alt

    rows = [
        {"system": _plain(one.name), "mean": one.quality.mean, "low": one.quality.low, "high": one.quality.high}
        for one in systems
    ]
    order = [row["system"] for row in rows]
    base = alt.Chart(alt.Data(values=rows))
    y = alt.Y("system:N", sort=order, title=None)
    x = alt.X(
        "mean:Q", scale=alt.Scale(domain=[0, 1]), title="cases handled right in every part", axis=alt.Axis(format="%")
    )
    colours = ["#12708a", "#c2701c", "#6b4ba1", "#33526b"]
    colour = alt.Color("system:N", scale=alt.Scale(domain=order, range=colours[: len(order)]), legend=None)
    bars = base.mark_bar(size=24, opacity=0.85).encode(x=x, y=y, color=colour)
    spans = base.mark_rule(strokeWidth=2, color=INK).encode(x="low:Q", x2="high:Q", y=y)
    labels = base.mark_text(align="left", dx=6, dy=-9, fontSize=12, color=INK).encode(
        x="mean:Q", y=y, text=alt.Text("mean:Q", format=".0%")
    )
    return _svg(bars + spans + labels, height=max(80, 46 * len(rows)))


def _approach_colour(approaches: Sequence[str]) -> Any:
    import altair as alt

    used = [approach for approach in APPROACH_COLOURS if approach in approaches]
    return alt.Color(
        "approach:N",
        scale=alt.Scale(domain=[APPROACH_NAMES[one] for one in used], range=[APPROACH_COLOURS[one] for one in used]),
        legend=alt.Legend(title=None, orient="top"),
    )


def _dashes(count: int) -> list[list[int]]:
    patterns = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [4, 4], [1, 3], [10, 4]]
    return [patterns[at % len(patterns)] for at in range(count)]


def _plain(name: str) -> str:
    return name.replace("_", " ").replace(".", " · ")


def _short(value: float) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.0f}"


def _svg(chart: Any, height: int, width: int = WIDTH) -> str:
    import vl_convert

    spec = (
        chart.properties(width=width - 120, height=height)
        .configure(font=FONT, background="transparent")
        .configure_view(stroke=None)
        .configure_axis(
            labelFontSize=12,
            titleFontSize=12,
            titleFontWeight="normal",
            labelColor=INK,
            titleColor=MUTED,
            gridColor=GRID,
            domainColor="#c9ced3",
            tickColor="#c9ced3",
        )
        .configure_legend(labelFontSize=12, labelColor=INK)
        .to_dict()
    )
    svg = vl_convert.vegalite_to_svg(spec)
    return _responsive(svg)


def _responsive(svg: str) -> str:
    # A viewBox alone lets the picture shrink to a phone's width; fixed sizes would make the page scroll sideways.
    svg = re.sub(r"<\?xml[^>]*\?>", "", svg)
    found = re.search(r'<svg[^>]*\bwidth="([\d.]+)"', svg)
    width = float(found.group(1)) if found else float(WIDTH)
    svg = re.sub(r'(<svg[^>]*?)\s+width="[\d.]+"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?)\s+height="[\d.]+"', r"\1", svg, count=1)
    return svg.replace("<svg", f'<svg role="img" style="width:100%;max-width:{width:.0f}px;height:auto"', 1).strip()
