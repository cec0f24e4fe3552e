"""Where two options cost the same: in volume, in any other input, and in accuracy."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from math import ceil
from typing import TYPE_CHECKING

from steelyard.economics.arithmetic import geometric_sum
from steelyard.economics.cost_model import Terms, Traffic, closed_form, exact_bind, terms, traffic
from steelyard.schema.costs import BreakEven, Crossing
from steelyard.schema.economics import LARGEST_NUMBER, LONGEST_HORIZON_MONTHS, POSITIVE, SHARES, Scenario, exact
from steelyard.schema.money import money_arithmetic

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from steelyard.economics.sampling import Vector

GRID = 2_001
"""Points a search looks at before it narrows down; a crossing and its return within 1 % of a value may be missed."""

REACH = 10_000
"""How far from the scenario's own value a crossing is looked for, as a factor either way."""

VOLUME_GRID = 20_001
LARGEST_VOLUME = 1e10
"""Queries a month up to which replicas are counted: more than anyone serves, in steps of 0.1 %."""

ROUNDING = 1e-12
"""Relative differences below this are float64's own: options that cost the same must not seem to cross."""

NARROWINGS = 5
"""Each narrows the place 2,000-fold, so five leave nothing that float64 can tell apart."""


def break_even(scenario: Scenario, first: str, second: str) -> BreakEven:
    """The volume in the first month from which `second` costs no more than `first`, ranges at their point.

    q* = max(0, what `second` costs more at any volume / (queries per unit of volume * what it saves on a query)); none where it
    saves nothing on a query. The closed form holds while one replica each is enough; beyond, the replicas are counted, and just
    above a replica step `second` may be the dearer again for a while.

    Raises:
        FactsError: no option has one of the names.
    """
    with money_arithmetic():
        a, b = terms(scenario, scenario.option(first), exact_bind), terms(scenario, scenario.option(second), exact_bind)
        flow = traffic(scenario, exact_bind)
        fixed = _at_no_volume(b, flow) - _at_no_volume(a, flow)
        saving = sum(a.per_query.values(), Decimal(0)) - sum(b.per_query.values(), Decimal(0))
        weight = geometric_sum(flow.growth, flow.months)
        volume, because = _volume(fixed, saving, weight, second)
        if volume != 0 and not all(_one_replica(option, volume, flow) for option in (a, b)):
            volume = _volume_with_replicas(scenario, first, second)
            because = because if volume is None and because else ""
            if volume is None and not because:
                because = f"beyond one replica, hosting {second} costs more than it saves"
        return BreakEven(
            first=first, second=second, queries_per_month=volume, usd_fixed=fixed, usd_per_query=saving, because=because
        )


def break_even_in(scenario: Scenario, input_name: str, first: str, second: str) -> Crossing | None:
    """Where the two options cost the same as one input moves; the crossing nearest to the scenario's value, None if none.

    Looks from 0 and a ten-thousandth to ten-thousandfold of the scenario's value, within what the input may be (shares to 1);
    from 0 to 1,000 where the value is 0. To about 12 digits. An `Input` shared by both options moves in both.

    Raises:
        FactsError: no option, or no input, has that name.
    """
    import numpy as np

    at = float(exact(scenario.input(input_name)))
    grid = _grid(input_name, at)
    dearer = _second_dearer(scenario, input_name, first, second)
    sides = dearer(grid)
    steps = np.flatnonzero(sides[:-1] != sides[1:])
    if not steps.size:
        return None
    step = steps[np.argmin(np.abs(grid[steps] - at))]
    below, above = (first, second) if sides[step] else (second, first)
    return Crossing(
        input=input_name,
        at=exact(scenario.input(input_name)),
        value=_narrow(dearer, grid[step], grid[step + 1], dearer_below=bool(sides[step])),
        cheaper_below=below,
        cheaper_above=above,
    )


def _volume_with_replicas(scenario: Scenario, first: str, second: str) -> Decimal | None:
    """The smallest volume from which `second` costs no more, replicas counted."""
    import numpy as np

    volumes = np.concatenate([[0.0], np.geomspace(1, LARGEST_VOLUME, VOLUME_GRID)])
    dearer = _second_dearer(scenario, "queries_per_month", first, second)
    sides = dearer(volumes)
    steps = np.flatnonzero(sides[:-1] & ~sides[1:])
    return _narrow(dearer, volumes[steps[0]], volumes[steps[0] + 1], dearer_below=True) if steps.size else None


def _second_dearer(scenario: Scenario, name: str, first: str, second: str) -> Callable[[Vector], NDArray[np.bool_]]:
    """For values of one input, whether `second` is the dearer; both options must exist, and the input too."""
    from steelyard.economics.sampling import total_draws

    scenario.input(name)
    rows = [option.name for option in scenario.options]
    a, b = rows.index(scenario.option(first).name), rows.index(scenario.option(second).name)

    def second_dearer(values: Vector) -> NDArray[np.bool_]:
        totals = total_draws(scenario, {name: values})
        answer: NDArray[np.bool_] = totals[b] - totals[a] > ROUNDING * totals[b]
        return answer

    return second_dearer


def _narrow(dearer: Callable[[Vector], NDArray[np.bool_]], low: float, high: float, *, dearer_below: bool) -> Decimal:
    """Where between `low` and `high` the cheaper one changes, to 12 digits."""
    import numpy as np

    for _ in range(NARROWINGS):
        inner = np.linspace(low, high, GRID)
        place = max(int(np.argmax(dearer(inner) != dearer_below)), 1)
        low, high = inner[place - 1], inner[place]
    return Decimal(f"{high:.12g}")


def accuracy_gap(scenario: Scenario, first: str, second: str) -> Decimal | None:
    """How much more often `second` may be wrong than `first` before its total is no longer the lower; a share, 0.02 is two points.

    Negative: it has to be that much more accurate to be worth its price. None where a wrong answer costs nothing.

    Raises:
        FactsError: no option has one of the names.
    """
    with money_arithmetic():
        flow = traffic(scenario, exact_bind)
        wrong = exact(scenario.wrong_answer_usd)
        if not wrong or not flow.queries:
            return None
        without = []
        for name in (first, second):
            lines = closed_form(terms(scenario, scenario.option(name), exact_bind), flow)
            without.append(sum((usd for line, usd in lines.items() if line != "wrong_answers"), Decimal(0)))
        return (without[0] - without[1]) / (flow.queries * geometric_sum(flow.growth, flow.months) * wrong)


def _at_no_volume(option: Terms[Decimal], flow: Traffic[Decimal]) -> Decimal:
    """What the option costs over the horizon whatever the volume: one replica, no query."""
    idle = Traffic(months=flow.months, queries=Decimal(0), growth=Decimal(0))
    return sum(closed_form(option, idle).values(), Decimal(0))


def _one_replica(option: Terms[Decimal], volume: Decimal | None, flow: Traffic[Decimal]) -> bool:
    """Whether one replica serves that volume in the busiest month; no volume at all is more than any replica serves."""
    if volume is None:
        return not option.per_replica
    busiest = volume * (1 + flow.growth) ** (ceil(flow.months) - 1)
    return not option.per_replica or busiest <= option.queries_per_replica


def _volume(fixed: Decimal, saving: Decimal, weight: Decimal, second: str) -> tuple[Decimal | None, str]:
    if saving > 0:
        because = (
            ""
            if fixed > 0
            else f"{second} costs no more to run and less on each query, so it is the cheaper at any volume"
        )
        return max(Decimal(0), fixed / (weight * saving)), because
    if saving < 0 and fixed < 0:
        below = fixed / (weight * saving)
        return None, f"{second} costs more on each query and is the cheaper only below {below:,.0f} queries a month"
    if saving == 0 and fixed < 0:
        return None, f"a query costs the same and {second} costs less to run, so it is the cheaper at any volume"
    return None, f"{second} saves nothing on a query, so no volume pays for what it costs more"


def _grid(name: str, at: float) -> Vector:
    import numpy as np

    last = name.rpartition(".")[2]
    largest = 1.0 if last in SHARES else LONGEST_HORIZON_MONTHS if last == "horizon_months" else float(LARGEST_NUMBER)
    if at == 0 or last in SHARES:
        grid = np.linspace(0.0, min(1000.0, largest), GRID)
    else:
        grid = np.concatenate([[0.0], np.geomspace(at / REACH, min(at * REACH, largest), GRID - 1)])
    return grid[1:] if last in POSITIVE else grid
