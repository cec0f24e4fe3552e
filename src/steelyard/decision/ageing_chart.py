"""The ageing chart: how each way to run a candidate would have fared, step by step, from a kept backtest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from string import ascii_lowercase
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

    Dotted lines under letters mark the backtest's events. `legend` names the lines below, for a picture that stands alone.
    """
    import altair as alt

    width, upper, lower = SIZES[size]
    lines = ageing_lines(ageing)
    rows = _rows(ageing, lines)
    named = (
        alt.Legend(
            orient="bottom",
            title=None,
            columns=2,
            columnPadding=28,
            symbolType="stroke",
            symbolSize=400,
            symbolOpacity=1,
            labelColor="#30343b",
        )
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

    events = [{"date": one["date"], "letter": letter} for letter, one in _lettered(ageing)]
    marked = alt.Chart(alt.Data(values=events)).encode(x=time)
    marks = marked.mark_rule(strokeDash=[1, 3], strokeWidth=1.2, color=EVENT_COLOUR)
    letters = marked.mark_text(dy=-6, fontSize=11, color=EVENT_COLOUR).encode(y=alt.value(0), text="letter:N")

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
    above = alt.layer(panel("right", "handled rightly", upper, 1.0), letters).properties(width=width, height=upper)
    chart = alt.vconcat(above, below.properties(width=width, height=lower))
    # A picture that stands alone is also seen on dark pages.
    return svg(chart.properties(background="#ffffff") if legend else chart)


def ageing_sentence(ageing: Mapping[str, Any]) -> str:
    """From when to when, on how many questions, and where they come from; the marks and the lines that coincide explained."""
    every = {"day": "daily", "week": "weekly", "month": "monthly", "quarter": "quarterly", "year": "yearly"}
    how = every.get(str(ageing["every"]), str(ageing["every"]))
    return (
        f"The documents' own past from {ageing['begin']} to {ageing['end']}, in {how} steps, {ageing['facts']} questions "
        f"({ageing['questions_from']}). {ageing_marks(ageing)}"
    )


def ageing_marks(ageing: Mapping[str, Any]) -> str:
    """What the ticks, the lettered lines and the lines that coincide mean in the chart of a backtest."""
    events = [f"{letter}, {one['date']}, {one['what']}" for letter, one in _lettered(ageing)]
    marked = f" Dotted lines: {'; '.join(events)}." if events else ""
    same = "".join(f" The line of {other} is that of {name} too." for name, other in _coinciding(ageing).items())
    return f"Ticks mark trainings.{marked}{same}"


def _rows(ageing: Mapping[str, Any], names: Iterable[str]) -> list[dict[str, Any]]:
    """What is drawn: one row for each candidate and step."""
    return [
        {
            "date": day,
            "candidate": name,
            "right": step["candidates"][name]["accuracy"],
            "stale": step["candidates"][name]["stale"],
            "trained": bool(step["candidates"][name]["work"]["trained"]) and 0 < place < len(ageing["steps"]),
        }
        for place, (day, step) in enumerate(_spans(ageing["steps"]))
        for name in names
    ]


def _lettered(ageing: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    return list(zip(ascii_lowercase, ageing.get("events", ()), strict=False))


def _spans(steps: Sequence[Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
    """The steps by their dates, and the last one once more where it ends, as long as the one before: else it would have no width."""
    dated = [(str(step["date"]), step) for step in steps]
    if len(dated) < 2:
        return dated
    before, last = (date.fromisoformat(day) for day, _ in dated[-2:])
    return [*dated, ((last + (last - before)).isoformat(), steps[-1])]


def _shown(ageing: Mapping[str, Any]) -> list[str]:
    first = ageing["steps"][0]["candidates"] if ageing["steps"] else {}
    return [name for name in first if "(" not in name or name.rstrip(")").rsplit("(", 1)[-1] in SHOWN_CADENCES]


def _coinciding(ageing: Mapping[str, Any]) -> dict[str, str]:
    """Candidates whose lines lie on that of an earlier one, which hides them or is hidden: the one that stands for both."""
    drawn: dict[tuple[tuple[float, float], ...], str] = {}
    same = {}
    for name in _shown(ageing):
        steps = [step["candidates"][name] for step in ageing["steps"]]
        line = tuple((float(step["accuracy"]), float(step["stale"])) for step in steps)
        other = drawn.setdefault(line, name)
        if other != name:
            same[name] = other
    return same


def _names(ageing: Mapping[str, Any]) -> list[str]:
    same = _coinciding(ageing)
    return [name for name in _shown(ageing) if name not in same]
