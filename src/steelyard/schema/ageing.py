"""What a backtest found: how each candidate would have aged, step by step, and what hindsight says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from steelyard.schema.items import Approach
from steelyard.schema.statistics import Interval


@dataclass(frozen=True, kw_only=True)
class AgedAnswer:
    """One answer to one fact's question as a candidate would have given it; `text` is "" where it declined."""

    fact: str
    text: str
    abstained: bool


@dataclass(frozen=True, kw_only=True)
class StepWork:
    """What a candidate did to be ready for a step. `labels` are answers a person looked up anew; `trained` says it was retrained."""

    documents: int = 0
    passages: int = 0
    seconds: float = 0.0
    trained: bool = False
    labels: int = 0


@dataclass(frozen=True, kw_only=True)
class AgedStep:
    """One candidate at one step: shares of the questions asked then, 0 to 1, and what the time since the step before cost.

    `accuracy`: answered rightly, or declined where the documents do not answer. `stale`: an answer that was right once. `refused`:
    declined though the documents answer. `wrong` counts answers given that are not right, stale ones included.
    """

    at: datetime
    candidate: str
    accuracy: Interval
    stale: Interval
    refused: Interval
    wrong: float
    declined: float
    cost_usd: float
    work: StepWork

    def to_json(self) -> dict[str, Any]:
        """The step as JSON for one candidate: accuracy, stale, refused, cost_usd, their intervals, and the work."""
        return {
            "accuracy": self.accuracy.mean,
            "stale": self.stale.mean,
            "refused": self.refused.mean,
            "cost_usd": round(self.cost_usd, 2),
            "intervals": {
                "accuracy": self.accuracy.to_json(),
                "stale": self.stale.to_json(),
                "refused": self.refused.to_json(),
            },
            "wrong": self.wrong,
            "work": dict(self.work.__dict__),
        }


@dataclass(frozen=True, kw_only=True)
class UpdateRate:
    """How often things changed, a year: days on which documents changed, days on which the answer to an asked question did.

    `asked_share_per_month` is the share of asked facts that change in a month: the lambda of the square-root rule.
    """

    document_days: float
    asked_days: float
    asked_share_per_month: float

    def to_json(self) -> dict[str, Any]:
        """The rates as JSON under their own names."""
        return dict(self.__dict__)


@dataclass(frozen=True, kw_only=True)
class Retraining:
    """How often retraining would have been best: by trying every interval in the replay, and by the square-root rule.

    Intervals are months; `best_months` None: never retraining was cheapest; `rule_months` None: nothing asked changed. `costs` holds the
    total of each interval tried, USD ("never" for none).
    """

    candidate: str
    best_months: int | None
    rule_months: float | None
    costs: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Hindsight:
    """What would have been cheapest, errors priced in, and what deciding at the first step by the criteria alone would have cost more.

    `choice` is the candidate that the criteria stood for at the first step, `verdict` the recommendation as they gave it. From
    `flip_usd` a wrong answer on, `flip_to` would have been the cheapest; None and "" where no price turns the order.
    """

    best: str
    best_usd: float
    choice: str
    verdict: str
    regret_usd: float
    totals_usd: Mapping[str, float]
    because: str
    flip_usd: float | None = None
    flip_to: str = ""


@dataclass(frozen=True, kw_only=True)
class Backtest:
    """The whole replay of one component.

    `asked_as_trained` counts the facts whose only wording is both learned and asked; `left_out` says why candidates could not be built.
    """

    component: str
    begin: datetime
    end: datetime
    every: str
    facts: int
    questions_from: str
    approaches: Mapping[str, Approach]
    steps: tuple[AgedStep, ...]
    update_rate: UpdateRate
    retraining: tuple[Retraining, ...]
    hindsight: Hindsight
    sentences: tuple[str, ...]
    events: tuple[tuple[datetime, str], ...] = field(default=())
    asked_as_trained: int = 0
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def candidates(self) -> tuple[str, ...]:
        """Names in the order they were replayed."""
        return tuple(dict.fromkeys(step.candidate for step in self.steps))

    def of(self, candidate: str) -> tuple[AgedStep, ...]:
        """A candidate's steps, oldest first."""
        return tuple(step for step in self.steps if step.candidate == candidate)

    def to_json(self) -> dict[str, Any]:
        """The replay with the keys of `backtest --json`."""
        moments = dict.fromkeys(step.at for step in self.steps)
        return {
            "component": self.component,
            "every": self.every,
            "begin": self.begin.date().isoformat(),
            "end": self.end.date().isoformat(),
            "approaches": dict(self.approaches),
            "facts": self.facts,
            "questions_from": self.questions_from,
            "asked_as_trained": self.asked_as_trained > 0,
            "facts_asked_as_trained": self.asked_as_trained,
            "left_out": dict(self.left_out),
            "steps": [
                {
                    "date": at.date().isoformat(),
                    "candidates": {step.candidate: step.to_json() for step in self.steps if step.at == at},
                }
                for at in moments
            ],
            "update_rate_per_year": self.update_rate.asked_days,
            "update_rate": self.update_rate.to_json(),
            "retraining": [
                {**one.__dict__, "costs": {name: round(usd, 2) for name, usd in one.costs.items()}}
                for one in self.retraining
            ],
            "hindsight": {
                **self.hindsight.__dict__,
                "best_usd": round(self.hindsight.best_usd, 2),
                "regret_usd": round(self.hindsight.regret_usd, 2),
                "flip_usd": None if self.hindsight.flip_usd is None else round(self.hindsight.flip_usd, 4),
                "totals_usd": {name: round(usd, 2) for name, usd in self.hindsight.totals_usd.items()},
            },
            "sentences": list(self.sentences),
            "events": [{"date": at.date().isoformat(), "what": what} for at, what in self.events],
        }
