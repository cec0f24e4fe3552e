"""How `steelyard tco` looks on a terminal: verdict, totals by line, the curve, what decides it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from math import log10
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from steelyard.economics.labels import round_values, shown
from steelyard.schema.economics import exact

if TYPE_CHECKING:
    from steelyard.schema.costs import Analysis, Crossing, OptionCost
    from steelyard.schema.economics import Scenario

STYLES = {"rag": "bright_blue", "fine_tune": "dark_orange", "prompt": "green3", "hybrid": "orchid"}
SPARE_STYLES = ("yellow3", "cyan", "grey62", "red3", "white")

CHART_ROWS = 12
WIDEST = 110
BRAILLE = 0x2800
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of a braille cell by row and column of its dots, from the Unicode standard."""

MOST_BARS = 8
LEAST_BAR_CELLS = 16
NUMBER_CELLS = 24
"""What the columns beside a bar take: share, worth, and the space between."""


def view(scenario: Scenario, analysis: Analysis, width: int) -> RenderableType:
    """Everything the command prints, as one renderable for a terminal that wide."""
    styles = option_styles(analysis)
    parts: list[RenderableType] = [_heading(scenario), _verdict(analysis, styles), _totals(analysis, styles)]
    parts.append(_titled("Total over the horizon by queries a month", _curve(analysis, styles, min(width, WIDEST))))
    if analysis.simulation.inputs:
        parts.append(_titled("What decides it", _tornado(analysis, min(width, WIDEST))))
    parts += [Text(f"Note: {note}", style="yellow") for note in analysis.notes]
    return Group(*parts)


def option_styles(analysis: Analysis) -> dict[str, str]:
    """A colour for each option: its approach's, or a spare one where that is taken."""
    spare = list(SPARE_STYLES)
    styles: dict[str, str] = {}
    for cost in analysis.costs:
        own = STYLES[cost.approach]
        styles[cost.name] = own if own not in styles.values() else spare.pop(0) if spare else "white"
    return styles


def _heading(scenario: Scenario) -> Text:
    growth = exact(scenario.growth_per_month)
    parts = [
        f"{exact(scenario.horizon_months):,.0f} months",
        f"{exact(scenario.queries_per_month):,.0f} queries a month"
        + (f", growing {growth:.1%} a month" if growth else ""),
        f"{exact(scenario.updates_per_year).normalize():,f} updates a year",
    ]
    return Text(" · ".join(parts), style="dim")


def _verdict(analysis: Analysis, styles: dict[str, str]) -> Text:
    ranked = sorted(analysis.costs, key=lambda cost: cost.total_usd)
    best = ranked[0]
    text = Text()
    text.append(shown(best.name), style=f"bold {styles[best.name]}")
    text.append(f" costs least: ${best.total_usd:,.0f}", style="bold")
    if len(ranked) > 1:
        text.append(f", ${ranked[1].total_usd - best.total_usd:,.0f} less than {shown(ranked[1].name)}")
    text.append(".")
    if analysis.simulation.inputs:
        chances = sorted(analysis.simulation.p_cheapest.items(), key=lambda pair: -pair[1])
        said = ", ".join(f"{shown(name)} {chance:.0%}" for name, chance in chances)
        text.append(
            f"\nCheapest in the draws: {said}. Knowing every input would be worth ${analysis.simulation.evpi_usd:,.0f}."
        )
    for line in _break_even_lines(analysis):
        text.append(f"\n{line}")
    return text


def _break_even_lines(analysis: Analysis) -> Iterable[str]:
    even = analysis.break_even
    if even is None:
        return
    if even.queries_per_month is None:
        yield f"No break-even in volume: {_named(even.because, analysis)}."
    elif even.queries_per_month == 0:
        yield f"Break-even at 0: {_named(even.because, analysis)}."
    else:
        cheaper = f"{shown(even.second)} costs less than {shown(even.first)}"
        yield f"Break-even: from {even.queries_per_month:,.0f} queries a month on, {cheaper}."
    if analysis.crossings:
        yield "Also at " + ", ".join(_crossing(crossing) for crossing in analysis.crossings) + "."
    gap = analysis.accuracy_gap
    if gap is not None and abs(gap) <= 1:
        first, second, points = shown(even.first), shown(even.second), f"{abs(gap) * 100:.2f} points"
        if gap >= 0:
            yield f"Up to {points} more wrong answers than {first} leave {second} the cheaper."
        else:
            yield f"It takes {points} fewer wrong answers than {first} for {second} to cost no more."


def _named(because: str, analysis: Analysis) -> str:
    for cost in analysis.costs:
        because = because.replace(cost.name, shown(cost.name))
    return because


def _crossing(crossing: Crossing) -> str:
    return f"{crossing.input} {_short(float(crossing.value))} (now {_short(float(crossing.at))})"


def _short(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"


def _totals(analysis: Analysis, styles: dict[str, str]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_footer=True)
    table.add_column("USD", footer="total")
    least = min(cost.total_usd for cost in analysis.costs)
    for cost in analysis.costs:
        mark = "bold green" if cost.total_usd == least else "bold"
        table.add_column(
            Text(shown(cost.name), style=f"bold {styles[cost.name]}"),
            justify="right",
            footer=Text(f"{cost.total_usd:,.0f}", style=mark),
        )
    for line in analysis.costs[0].lines:
        if any(cost.lines[line] for cost in analysis.costs):
            table.add_row(line.replace("_", " "), *(_cell(cost, line) for cost in analysis.costs))
    return table


def _cell(cost: OptionCost, line: str) -> Text:
    usd = cost.lines[line]
    return Text(f"{usd:,.2f}" if 0 < usd < 10 else f"{usd:,.0f}") if usd else Text("–", style="dim")


def _titled(title: str, body: RenderableType) -> Group:
    return Group(Text(title, style="bold"), Padding(body, (0, 0, 1, 0)))


def _curve(analysis: Analysis, styles: dict[str, str], width: int) -> Text:
    """Totals over volume in braille dots, logarithmic both ways, each line named at its right end."""
    names = {cost.name: shown(cost.name) for cost in analysis.costs}
    left, right = 8, max(len(name) for name in names.values()) + 2
    columns = max(width - left - right, 20)
    volumes = [log10(point.queries_per_month) for point in analysis.curve]
    amounts = [log10(max(point.usd, 1e-2)) for point in analysis.curve]
    x_low, x_high, y_low, y_high = min(volumes), max(volumes), min(amounts), max(amounts)
    y_high = y_high if y_high > y_low else y_low + 1

    def column(volume: float) -> int:
        return round((volume - x_low) / (x_high - x_low) * (columns * 2 - 1))

    def row(amount: float) -> int:
        return round((y_high - amount) / (y_high - y_low) * (CHART_ROWS * 4 - 1))

    cells: dict[tuple[int, int], tuple[int, str]] = {}
    ends: dict[int, str] = {}
    for name in names:
        path = [
            (log10(point.queries_per_month), log10(max(point.usd, 1e-2)))
            for point in analysis.curve
            if point.option == name
        ]
        for dot_x, dot_y in _dots(path, column, row):
            place = (dot_y // 4, dot_x // 2)
            bits, _ = cells.get(place, (0, name))
            cells[place] = (bits | DOTS[dot_y % 4][dot_x % 2], name)
        end = row(path[-1][1]) // 4
        while end in ends:
            end += 1
        ends[end] = name
    even = analysis.break_even.queries_per_month if analysis.break_even else None
    marked = column(log10(even)) // 2 if even and x_low <= log10(even) <= x_high else None
    y_labels = {row(log10(usd)) // 4: f"${_compact(usd)}" for usd in round_values(10**y_low, 10**y_high)}
    text = Text(no_wrap=True)
    for line in range(max(CHART_ROWS, max(ends) + 1)):
        text.append(
            f"{y_labels.get(line, ''):>{left - 2}} ┤" if line in y_labels else " " * (left - 1) + "│", style="dim"
        )
        for cell in range(columns):
            if (line, cell) in cells:
                bits, name = cells[line, cell]
                text.append(chr(BRAILLE + bits), style=styles[name])
            else:
                text.append("┊" if cell == marked else " ", style="bold")
        if line in ends:
            text.append(f" {names[ends[line]]}", style=f"bold {styles[ends[line]]}")
        text.append("\n")
    x_labels = {column(log10(volume)) // 2: _compact(volume) for volume in round_values(10**x_low, 10**x_high)}
    text.append(" " * (left - 1) + "└" + "─" * columns + "\n", style="dim")
    text.append(_place(x_labels, left, columns + right) + "\n", style="dim")
    if marked is not None and even is not None:
        text.append(_place({marked: f"▲ break-even {even:,.0f}"}, left, columns + right), style="bold")
    return text


def _dots(
    path: list[tuple[float, float]], column: Callable[[float], int], row: Callable[[float], int]
) -> Iterable[tuple[int, int]]:
    """Every dot of a polyline, so that steep stretches stay connected."""
    for (x_1, y_1), (x_2, y_2) in pairwise(path):
        start, end = (column(x_1), row(y_1)), (column(x_2), row(y_2))
        steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
        for step in range(steps + 1):
            yield (
                round(start[0] + (end[0] - start[0]) * step / steps),
                round(start[1] + (end[1] - start[1]) * step / steps),
            )


def _place(labels: dict[int, str], left: int, columns: int) -> str:
    """Labels centred under their columns; one that would touch its neighbour is left out."""
    line = " " * (left + columns)
    for place, label in labels.items():
        start = min(max(left + place - (0 if label.startswith("▲") else len(label) // 2), 0), len(line) - len(label))
        if not line[max(start - 1, 0) : start + len(label) + 1].strip():
            line = line[:start] + label + line[start + len(label) :]
    return line.rstrip()


def _compact(number: float) -> str:
    for size, sign in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:g}{sign}"
    return f"{number:g}"


def _tornado(analysis: Analysis, width: int) -> Group:
    """Bars of the difference between the two leading options as each input moves alone, and what knowing it is worth."""
    effects = analysis.simulation.inputs[:MOST_BARS]
    leaders = [shown(name) for name in analysis.simulation.leaders]
    ends = [float(usd) for effect in effects for usd in (effect.low_usd, effect.high_usd)]
    low, high = min(*ends, 0.0), max(*ends, 0.0)
    span = (high - low) or 1.0
    cells = max(width - max(len(effect.input) for effect in effects) - NUMBER_CELLS, LEAST_BAR_CELLS)

    def cell(usd: float) -> int:
        return round((usd - low) / span * (cells - 1))

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("input", no_wrap=True)
    table.add_column("share", justify="right")
    table.add_column("worth", justify="right")
    table.add_column("", no_wrap=True)
    for effect in effects:
        first, last = sorted((cell(float(effect.low_usd)), cell(float(effect.high_usd))))
        bar = Text()
        for place in range(cells):
            inside = first <= place <= last
            side = "cyan" if place < cell(0.0) else "magenta"
            bar.append("█" if inside else "│" if place == cell(0.0) else " ", style=side if inside else "dim")
        table.add_row(effect.input, f"{effect.total_order:.0%}", f"${effect.evppi_usd:,.0f}", bar)
    sides = f"; left of │ {leaders[-1]} is the cheaper, right of it {leaders[0]}" if len(leaders) > 1 else ""
    caption = (
        "share: of the variance of the difference, this input alone or with others (total order); "
        "worth: what knowing it exactly would save on average; bars: 5th to 95th percentile" + sides
    )
    return Group(table, Text(caption, style="dim"))
