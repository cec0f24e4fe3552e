"""Learning curves: how right a candidate is by labels, and what more labels would bring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from steelyard.schema.statistics import Interval

Worth = Literal["worth it", "not worth it", "cannot tell"]


@dataclass(frozen=True, kw_only=True)
class PowerLaw:
    """Error by labelled rows: scale x rows^-exponent + floor."""

    scale: float
    exponent: float
    floor: float

    def error(self, rows: float) -> float:
        """The error that is expected from that many rows."""
        return float(self.scale * rows**-self.exponent + self.floor)


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """The score on validation rows after learning from `rows` labelled rows, a `share` of those there are, over `draws` of them."""

    share: float
    rows: int
    draws: int
    score: Interval


@dataclass(frozen=True, kw_only=True)
class LabelForecast:
    """What `labels` more labelled rows would bring: the gain in score with its interval, its value over the horizon, and their cost."""

    labels: int
    score: Interval
    gain: Interval
    value_usd: Interval
    cost_usd: float
    verdict: Worth

    def to_json(self) -> dict[str, Any]:
        """The forecast as JSON."""
        intervals = {name: getattr(self, name).to_json() for name in ("score", "gain", "value_usd")}
        return {"labels": self.labels, **intervals, "cost_usd": self.cost_usd, "verdict": self.verdict}


KEPT_AS_IS = ("component", "candidate", "metric", "dataset", "rows", "still_learning", "trials")


@dataclass(frozen=True, kw_only=True)
class LearningCurve:
    """A candidate's learning curve, measured on validation rows only, and what it foretells.

    `law` is fitted to the points, `laws` to draws of the validation rows and of the labels: what they disagree in is the uncertainty.
    `still_learning`: the last step, from half the labels to all of them, surely helped. `dataset` names the rows it was measured on,
    `rows` counts those that there are to learn from, `trials` is the hash of what was measured.
    """

    component: str
    candidate: str
    metric: str
    dataset: str
    rows: int
    points: tuple[CurvePoint, ...]
    law: PowerLaw
    laws: tuple[PowerLaw, ...]
    still_learning: bool
    trials: str
    forecasts: tuple[LabelForecast, ...]

    def to_json(self) -> dict[str, Any]:
        """The curve as JSON."""
        own = {name: getattr(self, name) for name in KEPT_AS_IS}
        points = [{**point.__dict__, "score": point.score.to_json()} for point in self.points]
        laws = [[law.scale, law.exponent, law.floor] for law in self.laws]
        forecasts = [forecast.to_json() for forecast in self.forecasts]
        return {**own, "points": points, "law": dict(self.law.__dict__), "laws": laws, "forecasts": forecasts}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> LearningCurve:
        """The curve that `to_json` wrote."""
        points = tuple(CurvePoint(**{**point, "score": Interval(**point["score"])}) for point in raw["points"])
        laws = tuple(PowerLaw(scale=a, exponent=b, floor=c) for a, b, c in raw["laws"])
        forecasts = tuple(
            LabelForecast(**{**one, **{name: Interval(**one[name]) for name in ("score", "gain", "value_usd")}})
            for one in raw["forecasts"]
        )
        return cls(**{**raw, "points": points, "law": PowerLaw(**raw["law"]), "laws": laws, "forecasts": forecasts})
