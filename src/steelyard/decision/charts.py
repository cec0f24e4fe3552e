"""The report's pictures: where intervals and bars stand, in per cent of their axis, and the cost curve as SVG.

Bars and intervals are drawn by the page itself, so that their texts stay texts at any width; only the curve is a picture.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from steelyard.economics.labels import round_values
from steelyard.schema.statistics import Interval
from steelyard.schema.weighing import CandidateResult, CostCurve

APPROACH_COLOURS: Mapping[str, str] = {
    "prompt": "#5f666e",
    "rag": "#12708a",
    "fine_tune": "#ab5a12",
    "hybrid": "#6b4ba1",
}
"""Each reaches a contrast of 4.5 with white, and no two look alike to colour-blind readers."""

INK, MUTED, GRID, RULE = "#1d2329", "#5d6770", "#e4e7ea", "#b9c0c7"
FONT = "system-ui, 'Segoe UI', Helvetica, Arial, sans-serif"

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

LINE_COLOURS = ("#2b4a63", "#5c7f9c", "#8fb0c9", "#7f9a5f", "#b3c8a0", "#d9b56a", "#b8493c", "#e3a395", "#8d8d8d")

DASHES = ([1, 0], [7, 4], [2, 3], [9, 3, 2, 3])
CURVE_SIZES: Mapping[str, tuple[int, int]] = {"wide": (430, 270), "narrow": (264, 230)}
"""Width and height of the plotting area; the page shows the one that fits."""

AXIS_STEP = 0.1
FAR_BELOW = 0.5
"""A candidate so far under the best would squeeze all others into a corner of the scale."""

LABEL_ROOM = 26
"""Pixels between the labels of today's volume and of the break-even."""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A scale from `low` to `high`."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether a value stands on the scale."""
        return self.low <= value <= self.high

    def at(self, value: float) -> float:
        """Where a value stands, in per cent from the left; values outside stand at the end.

        >>> Axis(low=0.5, high=1.0).at(0.75)
        50.0
        """
        share = (value - self.low) / (self.high - self.low)
        return round(100 * min(max(share, 0.0), 1.0), 2)

    def span(self, interval: Interval) -> tuple[float, float]:
        """Left end and width of an interval, in per cent."""
        left, right = self.at(interval.low), self.at(interval.high)
        return left, round(right - left, 2)


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A part of a stacked bar: `width` in per cent of the longest bar."""

    label: str
    usd: float
    width: float
    colour: str


@dataclass(frozen=True, kw_only=True)
class CostBar:
    """One candidate's total with its parts."""

    name: str
    usd: float
    segments: tuple[Segment, ...]


def quality_axis(intervals: Sequence[Interval | None]) -> Axis:
    """A scale around the intervals, its ends at tenths: differences show, and the ends are written beside it.

    What lies more than FAR_BELOW under the best (a floor such as always the same label) is left off the scale.
    """
    known = [one for one in intervals if one is not None and math.isfinite(one.mean)]
    best = max((one.mean for one in known), default=0.0)
    known = [one for one in known if one.mean >= best - FAR_BELOW]
    low = min((one.low for one in known), default=0.0)
    high = max((one.high for one in known), default=1.0)
    # Rounded first: 0.3 / 0.1 is a little less than 3.
    first = math.floor(round(low / AXIS_STEP, 6)) * AXIS_STEP
    last = math.ceil(round(high / AXIS_STEP, 6)) * AXIS_STEP
    return Axis(low=round(first, 6), high=round(max(last, first + AXIS_STEP), 6))


def cost_bars(candidates: Sequence[CandidateResult]) -> tuple[CostBar, ...]:
    """A stacked bar for each measured and priced candidate, the cheapest first."""
    priced = [one for one in candidates if one.quality is not None and one.usd_lines and one.usd_total is not None]
    longest = max((sum(one.usd_lines.values()) for one in priced), default=0.0) or 1.0
    bars = []
    for one in sorted(priced, key=lambda one: one.usd_total or 0.0):
        segments = []
        for colour, (label, lines) in zip(LINE_COLOURS, LINE_GROUPS.items(), strict=True):
            usd = sum(one.usd_lines.get(line, 0.0) for line in lines)
            if usd > 0:
                segments.append(Segment(label=label, usd=usd, width=round(100 * usd / longest, 3), colour=colour))
        bars.append(CostBar(name=one.name, usd=one.usd_total or 0.0, segments=tuple(segments)))
    return tuple(bars)


def legend(bars: Sequence[CostBar]) -> dict[str, str]:
    """Label to colour of every part that some bar has, in the order of the lines."""
    used = {segment.label for bar in bars for segment in bar.segments}
    return {label: colour for label, colour in zip(LINE_GROUPS, LINE_COLOURS, strict=True) if label in used}


def curve_lines(curve: CostCurve, approaches: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Name to (colour, dashes as SVG writes them) of each line of the curve."""
    return {
        name: (APPROACH_COLOURS[approaches[name]], " ".join(map(str, DASHES[at % len(DASHES)])) if at else "")
        for at, name in enumerate(curve.totals)
    }


def cost_curve(
    curve: CostCurve, approaches: Mapping[str, str], horizon_months: int, size: str, sides: tuple[str, str] | None
) -> str:
    """Total cost over the horizon against volume as SVG, with today's volume and the break-even marked.

    `sides` are the candidates that are the cheaper below and above the break-even, None where there is none in sight.
    """
    import altair as alt

    width, height = CURVE_SIZES[size]
    lines = curve_lines(curve, approaches)
    rows = [
        {"queries": volume, "usd": max(totals[at], 0.01), "candidate": name}
        for name, totals in curve.totals.items()
        for at, volume in enumerate(curve.queries_per_month)
    ]
    first, last = curve.queries_per_month[0], curve.queries_per_month[-1]
    lowest, highest = min(float(str(row["usd"])) for row in rows), max(float(str(row["usd"])) for row in rows)
    x = alt.X(
        "queries:Q",
        scale=alt.Scale(type="log", nice=False, domain=[first, last]),
        title="queries a month",
        axis=alt.Axis(format="~s", values=_powers(first, last), grid=False),
    )
    y = alt.Y(
        "usd:Q",
        scale=alt.Scale(type="log", nice=False, domain=[lowest * 0.8, highest * 1.6]),
        title=f"USD over {horizon_months} months",
        axis=alt.Axis(format="$~s", values=round_values(lowest * 0.8, highest * 1.6)),
    )
    names = list(lines)
    colour = alt.Color(
        "candidate:N", scale=alt.Scale(domain=names, range=[lines[one][0] for one in names]), legend=None
    )
    dash = alt.StrokeDash(
        "candidate:N",
        scale=alt.Scale(domain=names, range=[DASHES[at % len(DASHES)] for at in range(len(names))]),
        legend=None,
    )
    drawn = alt.Chart(alt.Data(values=rows)).mark_line(strokeWidth=2.4).encode(x=x, y=y, color=colour, strokeDash=dash)
    layers = [*_sides(curve, sides, lines), drawn, *_marks(curve, height)]
    return svg(alt.layer(*layers).properties(width=width, height=height))


def in_sight(curve: CostCurve) -> bool:
    """Whether the break-even lies within the volumes that the curve shows."""
    return (
        curve.break_even is not None and curve.queries_per_month[0] <= curve.break_even <= curve.queries_per_month[-1]
    )


def _sides(curve: CostCurve, sides: tuple[str, str] | None, lines: Mapping[str, tuple[str, str]]) -> list[Any]:
    """Two pale fields: who is the cheaper of the pair below the break-even, and who above."""
    import altair as alt

    if sides is None or not in_sight(curve):
        return []
    ends = [curve.queries_per_month[0], curve.break_even, curve.queries_per_month[-1]]
    return [
        alt.Chart(alt.Data(values=[{"queries": ends[at], "end": ends[at + 1]}]))
        .mark_rect(color=lines[name][0], opacity=0.09)
        .encode(x="queries:Q", x2="end:Q")
        for at, name in enumerate(sides)
    ]


def _marks(curve: CostCurve, height: int) -> list[Any]:
    """Dashed lines with their labels: the break-even at the top, today's volume below it, so that they never overlap."""
    import altair as alt

    marks = [(curve.at, f"today {_short(curve.at)}", height - LABEL_ROOM)]
    if in_sight(curve) and curve.break_even is not None:
        marks.append((curve.break_even, f"break-even {_short(curve.break_even)}", 6))
    middle = math.sqrt(curve.queries_per_month[0] * curve.queries_per_month[-1])
    rules: list[Any] = []
    labels: list[Any] = []
    for volume, text, top in marks:
        right = volume > middle
        base = alt.Chart(alt.Data(values=[{"queries": volume, "text": text}]))
        rules.append(base.mark_rule(strokeDash=[4, 3], color=INK).encode(x="queries:Q"))
        style = {"align": "right" if right else "left", "dx": -6 if right else 6, "baseline": "top", "fontSize": 12}
        # A white rim first: the label may cross the other mark's line.
        looks: tuple[dict[str, Any], ...] = (
            {"stroke": "#fff", "strokeWidth": 4, "strokeJoin": "round"},
            {"color": INK},
        )
        place = {"x": "queries:Q", "y": alt.value(top), "text": "text:N"}
        labels += [base.mark_text(**style, **look).encode(**place) for look in looks]
    return rules + labels


def _powers(low: float, high: float) -> list[float]:
    return [10.0**power for power in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)]


def _short(value: float) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.0f}"


def svg(chart: Any) -> str:
    """A chart as SVG in the report's look, with a viewBox and no fixed size."""
    import vl_convert

    axis = {
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelColor": INK,
        "titleColor": MUTED,
        "gridColor": GRID,
        "domainColor": RULE,
        "tickColor": RULE,
    }
    spec = (
        chart.configure(font=FONT, background="transparent")
        .configure_view(stroke=None)
        .configure_axis(**axis)
        .to_dict()
    )
    return _responsive(vl_convert.vegalite_to_svg(spec))


def _responsive(picture: str) -> str:
    # A viewBox alone lets the picture shrink with the page; fixed sizes would make it scroll sideways. What is drawn is said in
    # words by the element around it, so the hundreds of roles and labels of the marks are left out.
    picture = re.sub(r"<\?xml[^>]*\?>", "", picture)
    picture = re.sub(r'\s(?:role|aria-[a-z]+|class)="[^"]*"', "", picture)
    found = re.search(r'<svg[^>]*\bwidth="([\d.]+)"', picture)
    width = float(found.group(1)) if found else float(CURVE_SIZES["wide"][0])
    picture = re.sub(r'(<svg[^>]*?)\s+(?:width|height)="[\d.]+"', r"\1", picture, count=1)
    picture = re.sub(r'(<svg[^>]*?)\s+(?:width|height)="[\d.]+"', r"\1", picture, count=1)
    return picture.replace(
        "<svg", f'<svg aria-hidden="true" focusable="false" style="max-width:{width:.0f}px"', 1
    ).strip()
