"""The learning curve as a picture and as a sentence, from its record alone."""

from __future__ import annotations

from typing import Any

from steelyard.decision import wording
from steelyard.decision.charts import APPROACH_COLOURS, INK, MUTED, svg
from steelyard.metrics.learning_curve import score_at
from steelyard.schema.curves import LabelForecast, LearningCurve

SIZES = {"wide": (560, 250), "narrow": (300, 230)}
STEPS = 40


def learning_chart(curve: LearningCurve, size: str = "wide") -> str:
    """The measured points with their intervals, the law through them, and what it foretells beyond the labels that there are; SVG."""
    import altair as alt
    import numpy as np

    width, height = SIZES[size]
    first = curve.points[0].rows
    last = curve.rows + max((forecast.labels for forecast in curve.forecasts), default=0)
    line = []
    for rows in np.geomspace(first, last, STEPS).tolist():
        score = score_at(curve.law, curve.laws, rows)
        line.append({"rows": rows, "score": score.mean, "low": score.low, "high": score.high})
    points = [
        {"rows": one.rows, "score": one.score.mean, "low": one.score.low, "high": one.score.high}
        for one in curve.points
    ]
    lowest = min(float(row["low"]) for row in (*line, *points))
    highest = max(float(row["high"]) for row in (*line, *points))
    x = alt.X(
        "rows:Q",
        scale=alt.Scale(type="log", nice=False, domain=[first * 0.9, last * 1.08]),
        title="labelled rows",
        axis=alt.Axis(format="~s", tickCount=6, grid=False),
    )
    scale = alt.Scale(zero=False, nice=True, domain=[max(0.0, lowest - 0.02), min(1.0, highest + 0.02)])
    y = alt.Y("score:Q", scale=scale, title=wording.metric_name(curve.metric), axis=alt.Axis(format=".0%", tickCount=5))
    colour = APPROACH_COLOURS["fine_tune"]
    drawn, measured = alt.Chart(alt.Data(values=line)), alt.Chart(alt.Data(values=points))
    now = alt.Chart(alt.Data(values=[{"rows": curve.rows, "text": "labels now"}])).encode(x=x)
    layers: list[Any] = [
        drawn.mark_area(color=colour, opacity=0.14).encode(x=x, y=alt.Y("low:Q", scale=scale), y2="high:Q"),
        drawn.mark_line(color=colour, strokeWidth=2.2).encode(x=x, y=y),
        measured.mark_rule(color=INK).encode(x=x, y=alt.Y("low:Q", scale=scale), y2="high:Q"),
        measured.mark_point(color=INK, filled=True, size=45, opacity=1).encode(x=x, y=y),
        now.mark_rule(color=MUTED, strokeDash=[4, 3]),
        now.mark_text(color=MUTED, align="right", dx=-4, dy=-6).encode(y=alt.value(height - 4), text="text:N"),
    ]
    return svg(alt.layer(*layers).properties(width=width, height=height))


def learning_sentence(curve: LearningCurve) -> str:
    """What the curve says about more labels, in a sentence."""
    said = "; ".join(forecast_sentence(forecast) for forecast in curve.forecasts)
    begin = (
        f"{curve.candidate} reaches {wording.percent(curve.points[-1].score.mean)} on validation rows with all labels"
    )
    stopped = "" if curve.still_learning else " Whether labels still help cannot be told from the last step."
    return f"{begin}.{stopped} {said[:1].upper()}{said[1:]}." if said else f"{begin}.{stopped}"


def forecast_sentence(forecast: LabelForecast) -> str:
    """What that many more labels would bring and cost."""
    gain = forecast.gain
    return (
        f"{forecast.labels:,} more labels: {100 * gain.mean:+.1f} points ({100 * gain.low:.1f} to {100 * gain.high:.1f}), worth "
        f"{wording.usd_short(forecast.value_usd.mean)} against {wording.usd_short(forecast.cost_usd)}: {forecast.verdict}"
    )
