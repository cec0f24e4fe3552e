"""The ageing chart: how each way to run a candidate would have fared, step by step, from a kept backtest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from steelyard.decision.charts import APPROACH_COLOURS, DASHES, svg

SHOWN_CADENCES = ("never", "quarterly", "when it pays")
"""Of a tuned candidate's cadences those that tell the story; the others lie between."""

EVENT_COLOUR = "#8a8f98"

SIZES: Mapping[str, tuple[int, int, int]] = {"wide": (430, 190, 90), "narrow": (264, 160, 80)}
"""Width, and the heights of the two panels."""


def ageing_lines(ageing: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Colour and dash pattern (SVG) of each candidate shown; colours are the approach's, dashes tell apart."""
    lines: dict[str, tuple[str, str]] = {}
    used: dict[str, int] = {}
    for name in _names(ageing):
        approach = str(ageing["approaches"].get(name, "prompt"))
        place = used[approach] = used.get(approach, -1) + 1
        lines[name] = (APPROACH_COLOURS[approach], " ".join(map(str, DASHES[place % len(DASHES)])))
    return lines


def ageing_chart(ageing: Mapping[str, Any], size: str, *, legend: bool = False) -> str:
    """Two panels over time as SVG: share of questions handled rightly, and share of stale answers; trainings as ticks at the bottom.

    Dotted lines mark the backtest's events. `legend` names the lines below, for a picture that stands alone.
    """
    import altair as alt

    width, upper, lower = SIZES[size]
    lines = ageing_lines(ageing)
    rows = [
        {
            "date": step["date"],
            "candidate": name,
            "right": step["candidates"][name]["accuracy"],
            "stale": step["candidates"][name]["stale"],
            "trained": bool(step["candidates"][name]["work"]["trained"]) and place > 0,
        }
        for place, step in enumerate(ageing["steps"])
        for name in lines
    ]
    named = (
        alt.Legend(orient="bottom", title=None, columns=2, symbolType="stroke", symbolSize=400, labelColor="#30343b")
        if legend
        else None
    )
    colour = alt.Color(
        "candidate:N", scale=alt.Scale(domain=list(lines), range=[look[0] for look in lines.values()]), legend=named
    )
    patterns = [[float(part) for part in look[1].split()] for look in lines.values()]
    dash = alt.StrokeDash("candidate:N", scale=alt.Scale(domain=list(lines), range=patterns), legend=named)
    base = alt.Chart(alt.Data(values=rows))
    # Months at narrow widths would run into each other, so few ticks.
    time = alt.X("date:T", title=None, axis=alt.Axis(format="%b %y", tickCount=5, grid=False))

    events = [{"date": one["date"]} for one in ageing.get("events", ())]
    marks = (
        alt.Chart(alt.Data(values=events))
        .mark_rule(strokeDash=[1, 3], strokeWidth=1.2, color=EVENT_COLOUR)
        .encode(x=time)
    )

    def panel(figure: str, title: str, height: int, top: float) -> Any:
        share = alt.Axis(format="%", tickCount=3)
        y = alt.Y(f"{figure}:Q", title=title, scale=alt.Scale(domain=[0, top]), axis=share)
        drawn = base.mark_line(strokeWidth=2.2, interpolate="step-after").encode(
            x=time, y=y, color=colour, strokeDash=dash
        )
        return alt.layer(marks, drawn).properties(width=width, height=height)

    stale = max((float(row["stale"]) for row in rows), default=0.0)
    ticks = (
        base.transform_filter("datum.trained")
        .mark_tick(orient="vertical", thickness=1.6, size=7)
        .encode(x=time, y=alt.value(lower - 4), color=colour)
    )
    below = alt.layer(panel("stale", "stale", lower, max(0.1, min(1.0, 1.15 * stale))), ticks)
    chart = alt.vconcat(panel("right", "handled rightly", upper, 1.0), below.properties(width=width, height=lower))
    # A picture that stands alone is also seen on dark pages.
    return svg(chart.properties(background="#ffffff") if legend else chart)


def ageing_sentence(ageing: Mapping[str, Any]) -> str:
    """From when to when, on how many questions, and where they come from; the marks explained."""
    every = {"day": "daily", "week": "weekly", "month": "monthly", "quarter": "quarterly", "year": "yearly"}
    how = every.get(str(ageing["every"]), str(ageing["every"]))
    events = [f"{one['date']}, {one['what']}" for one in ageing.get("events", ())]
    marked = f" Dotted lines: {'; '.join(events)}." if events else ""
    return (
        f"The documents' own past from {ageing['begin']} to {ageing['end']}, in {how} steps, {ageing['facts']} questions "
        f"({ageing['questions_from']}). Ticks mark trainings.{marked}"
    )


def _names(ageing: Mapping[str, Any]) -> list[str]:
    first = ageing["steps"][0]["candidates"] if ageing["steps"] else {}
    return [name for name in first if "(" not in name or name.rstrip(")").rsplit("(", 1)[-1] in SHOWN_CADENCES]
