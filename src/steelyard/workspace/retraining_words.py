"""The decision to train again in a sentence."""

from __future__ import annotations

from steelyard.decision.wording import percent, usd_short
from steelyard.schema.retraining import Retraining


def sentence(one: Retraining, *, kept: bool = True) -> str:
    """What is new, what training would bring, what it costs, and so what. `kept`: the rows that were learned from are known."""
    if not kept:
        return "cannot tell: the rows that this version learned from were not kept; train once, then it can be told."
    if one.verdict == "nothing changed":
        return _nothing(one)
    told = [f"{one.new_labels:,} new labels"]
    if one.drift is not None:
        told.append(_drift(one))
    if one.gain is None or one.value_usd is None or one.cost_usd is None:
        steps = f"run `steelyard data curve {one.component}/{one.candidate}` first"
        return f"{', '.join(told)}; what they bring is not known: {steps}."
    gain = one.gain
    points = f"forecast {100 * gain.mean:+.1f} points ({100 * gain.low:.1f} to {100 * gain.high:.1f})"
    money = f"worth {usd_short(one.value_usd.mean)} against {usd_short(one.cost_usd)}"
    return f"{', '.join([*told, points, money])}: {one.verdict}{_because(one)}."


def _nothing(one: Retraining) -> str:
    if one.removed:
        return f"{one.removed:,} rows were taken out and no label is new: nothing would be learned."
    return "nothing changed since it was trained."


def _drift(one: Retraining) -> str:
    assert one.drift is not None
    if not one.drift.drifted:
        return "of the same kind as before"
    right = f", on which it is right for {percent(one.on_new_rows.mean, 0)}" if one.on_new_rows else ""
    return f"of another kind than before (p {min(one.drift.shift_p, one.drift.psi_p or 1.0):.3f}){right}"


def _because(one: Retraining) -> str:
    """What stands in the way of a plain yes or no."""
    if one.verdict != "cannot tell" or one.value_usd is None:
        return ""
    return ": the interval of the value reaches below the cost" if one.value_usd.mean > (one.cost_usd or 0) else ""
