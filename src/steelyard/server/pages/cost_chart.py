"""Total cost by volume, as plain SVG: drawn in a millisecond, coloured by the stylesheet, so light and dark need one picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from steelyard.decision.charts import in_sight
from steelyard.schema.weighing import CostCurve
from steelyard.server.pages.scales import Scale, path_of, short

SIZES: Mapping[str, tuple[int, int]] = {"wide": (560, 320), "narrow": (340, 280)}
"""Width and height in CSS pixels; the page shows the one that fits."""

LABEL_GAP = 15.0
"""Pixels between the names at the ends of two lines."""

LEFT, TOP, BOTTOM = 52.0, 30.0, 38.0
CHARACTER = 6.6
"""Pixels that a character of a line's name takes."""

NEAR_END = 0.5


@dataclass(frozen=True, kw_only=True)
class Line:
    """One candidate's line: its path, and its name at the line's right end."""

    name: str
    approach: str
    path: str
    label_y: float
    end_y: float
    dash: str


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A volume worth a vertical line: today's, the decided one, the break-even."""

    kind: str
    x: float
    text: str
    y: float
    anchor: str


@dataclass(frozen=True, kw_only=True)
class CostChart:
    """Everything the template draws; numbers are CSS pixels."""

    width: int
    height: int
    left: float
    right: float
    top: float
    bottom: float
    x_marks: tuple[tuple[float, str], ...]
    y_marks: tuple[tuple[float, str], ...]
    lines: tuple[Line, ...]
    marks: tuple[Mark, ...]
    fields: tuple[tuple[float, float, str], ...]


DASHES = ("", "7 4", "2 3", "9 3 2 3")


def cost_chart(
    curve: CostCurve, approaches: Mapping[str, str], size: str, decided_at: float | None = None
) -> CostChart:
    """The chart of a curve; `decided_at` is the volume of the stored decision, where another is shown."""
    width, height = SIZES[size]
    room = 14 + CHARACTER * max(len(name) for name in curve.totals)
    right, bottom = width - room, height - BOTTOM
    volumes = curve.queries_per_month
    x = Scale(low=volumes[0], high=volumes[-1], start=LEFT, end=right, log=True)
    spent = [max(usd, 1.0) for totals in curve.totals.values() for usd in totals]
    y = Scale(low=min(spent) * 0.8, high=max(spent) * 1.25, start=bottom, end=TOP, log=True)
    lines = []
    for at, (name, totals) in enumerate(curve.totals.items()):
        points = [(x.at(volume), y.at(max(usd, 1.0))) for volume, usd in zip(volumes, totals, strict=True)]
        end = points[-1][1]
        lines.append(
            Line(
                name=name,
                approach=approaches[name],
                path=path_of(points),
                label_y=end,
                end_y=end,
                dash=DASHES[at % len(DASHES)],
            )
        )
    return CostChart(
        width=width,
        height=height,
        left=LEFT,
        right=round(right, 2),
        top=TOP,
        bottom=bottom,
        x_marks=tuple((x.at(one), short(one)) for one in x.marks(6 if size == "wide" else 4)),
        y_marks=tuple((y.at(one), f"${short(one)}") for one in y.marks(6)),
        lines=_apart(lines, TOP, bottom),
        marks=_marks(curve, x, bottom, decided_at),
        fields=_fields(curve, x, approaches),
    )


def _apart(lines: list[Line], top: float, bottom: float) -> tuple[Line, ...]:
    """The lines with their names moved apart, top to bottom, so that none covers another."""
    placed: list[Line] = []
    floor = top
    for line in sorted(lines, key=lambda one: one.end_y):
        y = max(line.end_y, floor)
        placed.append(Line(**{**line.__dict__, "label_y": y}))
        floor = y + LABEL_GAP
    over = max(0.0, (placed[-1].label_y if placed else 0.0) - bottom)
    return tuple(Line(**{**line.__dict__, "label_y": round(line.label_y - over + 4, 2)}) for line in placed)


def _marks(curve: CostCurve, x: Scale, bottom: float, decided_at: float | None) -> tuple[Mark, ...]:
    middle = (x.start + x.end) / 2
    found = [("now", curve.at, f"{short(curve.at)} a month", bottom - 10)]
    if decided_at is not None and decided_at != curve.at and x.low <= decided_at <= x.high:
        found.append(("then", decided_at, f"decided at {short(decided_at)}", bottom - 28))
    if in_sight(curve) and curve.break_even is not None:
        found.append(("even", curve.break_even, f"break-even {short(curve.break_even)}", TOP - 10))
    return tuple(
        Mark(
            kind=kind,
            x=x.at(volume),
            text=text,
            y=y,
            anchor="end" if x.at(volume) > middle else "start",
        )
        for kind, volume, text, y in found
    )


def _fields(curve: CostCurve, x: Scale, approaches: Mapping[str, str]) -> tuple[tuple[float, float, str], ...]:
    """Pale fields on both sides of the break-even: left edge, width, and the approach that is the cheaper of the pair there."""
    if not in_sight(curve) or curve.break_even is None:
        return ()
    first, second = curve.totals[curve.first], curve.totals[curve.second]
    below = curve.first if first[0] <= second[0] else curve.second
    above = curve.first if first[-1] <= second[-1] else curve.second
    at = x.at(curve.break_even)
    return (x.start, round(at - x.start, 2), approaches[below]), (at, round(x.end - at, 2), approaches[above])
