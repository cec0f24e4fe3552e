"""The decision from measured candidates: what `steelyard weigh` recommends."""

from __future__ import annotations

from steelyard.schema.decision import ComponentDecision, MeasuredComponent


def recommend_measured(component: MeasuredComponent) -> ComponentDecision:
    """What to run for a component whose candidates were measured on one sealed holdout.

    Infeasible stays infeasible; a higher mean counts only when the paired comparison says so; otherwise the cheapest in
    expected total cost, and the simplest where costs tie.
    """
    raise NotImplementedError
