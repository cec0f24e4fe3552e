"""From replayed answers to ageing curves, money, the best retraining interval, and what hindsight would have chosen."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from steelyard.config import EconomicsSettings, TrafficSettings
from steelyard.evaluation.ageing import Answers, Replayed
from steelyard.evaluation.costing import BUSY_SHARE, CORES_PER_REPLICA, HOURS_PER_MONTH, HYBRID_TUNING_SHARE
from steelyard.evaluation.dated import DatedFact, Verdict, judge, relabelled
from steelyard.metrics.statistics import mean_interval
from steelyard.schema.ageing import AgedStep, Retraining, StepWork, UpdateRate
from steelyard.schema.items import Approach

DAYS_PER_MONTH = 365.25 / 12

Cadence = Literal["never", "yearly", "quarterly", "monthly", "when it pays"]
MONTHS: Mapping[Cadence, float] = {"never": math.inf, "yearly": 12.0, "quarterly": 3.0, "monthly": 1.0}
CADENCES: tuple[Cadence, ...] = ("never", "yearly", "quarterly", "monthly", "when it pays")


LEAST_SECONDS = 1e-4
"""Nothing answers faster; below it a clock's resolution would decide."""

SETUP, OPERATION, UPDATES, ERRORS = "setup", "operation", "updates", "errors"


@dataclass(frozen=True, kw_only=True)
class Prices:
    """What the replay's money is computed from."""

    economics: EconomicsSettings
    traffic: TrafficSettings

    def queries(self, month: float) -> float:
        """Requests in the month that begins `month` months after the first step."""
        return float(self.traffic.queries_per_month * (1.0 + self.traffic.growth_per_month) ** month)

    def setup_usd(self, approach: Approach) -> float:
        """Labour before the first answer, USD."""
        one = self.economics
        hours = {
            "prompt": one.prompt_setup_hours,
            "rag": one.rag_setup_hours,
            "fine_tune": one.fine_tune_setup_hours,
            "hybrid": one.rag_setup_hours + HYBRID_TUNING_SHARE * one.fine_tune_setup_hours,
        }[approach]
        return hours * one.embedded_share * one.hour_usd

    def month_usd(self, approach: Approach, queries: float, seconds: float, usd: float = 0.0) -> float:
        """Operating and hosting for a month of so many queries that take `seconds` and a generator's `usd` each, USD.

        As many replicas as the seconds need.
        """
        one = self.economics
        extra = HYBRID_TUNING_SHARE * one.fine_tune_operations_hours_per_month
        hours = {
            "prompt": one.prompt_operations_hours_per_month,
            "rag": one.rag_operations_hours_per_month,
            "fine_tune": one.fine_tune_operations_hours_per_month,
            "hybrid": one.rag_operations_hours_per_month + extra,
        }[approach]
        per_replica = BUSY_SHARE * HOURS_PER_MONTH * 3600 * CORES_PER_REPLICA / max(seconds, LEAST_SECONDS)
        replicas = max(1, math.ceil(queries / per_replica))
        hosting = one.cpu_hour_usd * CORES_PER_REPLICA * HOURS_PER_MONTH * replicas
        return hours * one.embedded_share * one.hour_usd + hosting + queries * usd

    def work_usd(self, approach: Approach, work: StepWork) -> float:
        """What bringing a candidate up to date cost, USD: labour, labels and computing."""
        one = self.economics
        computing = work.seconds * one.cpu_hour_usd / 3600
        if approach == "fine_tune":
            hours = one.fine_tune_update_hours if work.trained else 0.0
            return hours * one.embedded_share * one.hour_usd + work.labels * one.label_usd + computing
        # A prompt holds the documents as they are: there is no index to look after.
        hours = one.rag_update_hours if work.documents and approach != "prompt" else 0.0
        return hours * one.embedded_share * one.hour_usd + computing

    def errors_usd(self, wrong: float, declined: float, queries: float) -> float:
        """Wrong answers and handoffs of so many queries, USD; the rates are shares of all queries."""
        return queries * (wrong * self.economics.wrong_answer_usd + declined * self.economics.handoff_usd)


def months_between(begin: datetime, end: datetime) -> float:
    """Months from `begin` to `end`, a month being a twelfth of 365.25 days."""
    return (end - begin).total_seconds() / 86_400 / DAYS_PER_MONTH


class Judged:
    """The facts with all replayed answers, each judged once for every moment it is used at."""

    def __init__(self, facts: Sequence[DatedFact], replayed: Replayed, prices: Prices) -> None:
        self.facts = facts
        self.replayed = replayed
        self.prices = prices
        self._known: dict[tuple[str, datetime, datetime], list[Verdict]] = {}

    @property
    def moments(self) -> tuple[datetime, ...]:
        """The steps."""
        return self.replayed.moments

    def verdicts(self, candidate: str, made: datetime, at: datetime) -> list[Verdict]:
        """How the answers of the state made at `made` count at `at`, fact by fact."""
        key = (candidate, made, at)
        if key not in self._known:
            answers = self.answers(candidate, made).answers
            self._known[key] = [judge(fact, said, at) for fact, said in zip(self.facts, answers, strict=True)]
        return self._known[key]

    def answers(self, candidate: str, made: datetime) -> Answers:
        """The answers of the state made at `made`."""
        kind = self.replayed.following if candidate in self.replayed.following else self.replayed.trained
        return kind[candidate][made]

    def declined(self, candidate: str, made: datetime) -> float:
        """Share of all questions declined by the state made at `made`."""
        answers = self.answers(candidate, made).answers
        return sum(answer.abstained for answer in answers) / len(answers)


@dataclass(frozen=True, kw_only=True)
class Aged:
    """One way to run one candidate: which state answers at each step, and the work done for it."""

    name: str
    candidate: str
    approach: Approach
    made: tuple[datetime, ...]
    works: tuple[StepWork, ...]


def following(candidate: str, approach: Approach, judged: Judged) -> Aged:
    """A candidate that reads the documents of each step."""
    works = tuple(judged.answers(candidate, at).work for at in judged.moments)
    return Aged(name=candidate, candidate=candidate, approach=approach, made=judged.moments, works=works)


def on_cadence(name: str, candidate: str, retrained: Sequence[datetime], judged: Judged) -> Aged:
    """A tuned candidate that was trained at the first moment and at those of `retrained`."""
    made: list[datetime] = []
    works: list[StepWork] = []
    for at in judged.moments:
        if made and at not in retrained:
            made.append(made[-1])
            works.append(StepWork())
            continue
        labels = relabelled(judged.facts, made[-1] if made else None, at)
        seconds = judged.answers(candidate, at).work.seconds
        made.append(at)
        works.append(StepWork(seconds=seconds, trained=True, labels=labels))
    return Aged(name=name, candidate=candidate, approach="fine_tune", made=tuple(made), works=tuple(works))


def lines_usd(aged: Aged, judged: Judged) -> list[dict[str, float]]:
    """What each step cost, USD by line: setup, operation, updates, errors."""
    rows = []
    for place, (at, made, work) in enumerate(zip(judged.moments, aged.made, aged.works, strict=True)):
        wrong = share_of(judged.verdicts(aged.candidate, made, at), "wrong")
        answers = judged.answers(aged.candidate, made)
        rates = _Rates(wrong, judged.declined(aged.candidate, made), answers.seconds, answers.usd)
        rows.append(_step_lines(aged.approach, place, judged.moments, work, rates, judged.prices))
    return rows


def total_usd(aged: Aged, judged: Judged) -> float:
    """What the whole replay cost, USD."""
    return sum(sum(row.values()) for row in lines_usd(aged, judged))


def steps_of(aged: Aged, judged: Judged) -> list[AgedStep]:
    """The ageing curve: quality with intervals clustered by document, and money."""
    clusters = [fact.cluster for fact in judged.facts]
    found = []
    for place, lines in enumerate(lines_usd(aged, judged)):
        at, made = judged.moments[place], aged.made[place]
        said = judged.verdicts(aged.candidate, made, at)
        found.append(
            AgedStep(
                at=at,
                candidate=aged.name,
                accuracy=mean_interval([float(one.right) for one in said], clusters),
                stale=mean_interval([float(one.stale) for one in said], clusters),
                refused=mean_interval([float(one.refused) for one in said], clusters),
                wrong=share_of(said, "wrong"),
                declined=judged.declined(aged.candidate, made),
                cost_usd=sum(lines.values()),
                work=aged.works[place],
            )
        )
    return found


def share_of(said: Sequence[Verdict], name: Literal["right", "wrong", "stale", "refused"]) -> float:
    """Share of the verdicts that are so, 0 to 1."""
    return sum(bool(getattr(one, name)) for one in said) / len(said)


@dataclass(frozen=True)
class _Rates:
    """Shares of all questions answered wrongly and declined, and the mean seconds of an answer and money of its calls."""

    wrong: float
    declined: float
    seconds: float
    usd: float


def _step_lines(
    approach: Approach,
    place: int,
    moments: Sequence[datetime],
    work: StepWork,
    rates: _Rates,
    prices: Prices,
) -> dict[str, float]:
    """USD by line from this step to the next (the last step lasts as long as the one before); setup comes with the first.

    The first training and the first indexing are part of the setup; only their labels and computing are added.
    """
    months = _length(moments, place)
    begun = months_between(moments[0], moments[place])
    labels = work.labels * prices.economics.label_usd if approach == "fine_tune" else 0.0
    computing = work.seconds * prices.economics.cpu_hour_usd / 3600
    queries = prices.queries(begun)
    return {
        SETUP: 0.0 if place else prices.setup_usd(approach) + labels + computing,
        OPERATION: prices.month_usd(approach, queries, rates.seconds, rates.usd) * months,
        UPDATES: prices.work_usd(approach, work) if place else 0.0,
        ERRORS: prices.errors_usd(rates.wrong, rates.declined, queries * months),
    }


def lengths(moments: Sequence[datetime]) -> list[float]:
    """Months that each step stands for: until the next; the last one lasts as long as the one before, a lone one a month."""
    return [_length(moments, place) for place in range(len(moments))]


def _length(moments: Sequence[datetime], place: int) -> float:
    if len(moments) == 1:
        return 1.0
    here = min(place, len(moments) - 2)
    return months_between(moments[here], moments[here + 1])


# When to retrain


def retrain_moments(moments: Sequence[datetime], months: float) -> list[datetime]:
    """The moments at which a cadence of `months` retrains, the first training left out; half a step early counts as due."""
    due, last = [], moments[0]
    slack = _length(moments, 0) / 2
    for at in moments[1:]:
        if months_between(last, at) + slack >= months:
            due.append(at)
            last = at
    return due


def paying_moments(judged: Judged) -> list[datetime]:
    """Retrain as soon as the answers that changed since the last training have cost as much as a retraining will.

    That is the balance of the economic order quantity, decided each day on what is known that day: nothing of the future is used.
    """
    facts, moments, prices = judged.facts, judged.moments, judged.prices
    due: list[datetime] = []
    last, lost = moments[0], 0.0
    for place, at in enumerate(moments[1:], start=1):
        share = relabelled(facts, last, at) / len(facts)
        months = months_between(moments[place - 1], at)
        queries = prices.queries(months_between(moments[0], moments[place - 1])) * months
        lost += share * queries * prices.economics.wrong_answer_usd
        cost = prices.work_usd("fine_tune", StepWork(trained=True, labels=relabelled(facts, last, at)))
        if share > 0 and lost >= cost:
            due.append(at)
            last, lost = at, 0.0
    return due


def best_retraining(candidate: str, judged: Judged, rate: UpdateRate) -> Retraining:
    """Every interval from one step to the whole replay tried on the replayed answers, and the square-root rule beside it.

    The rule is sqrt(2 C / (q c lambda)) months: C a retraining, q queries a month, c a wrong answer, lambda the share of asked facts that
    change in a month (Harris, How many parts to make at once, 1913, for parts; the same balance holds for models).
    """
    moments, prices = judged.moments, judged.prices
    total = math.ceil(months_between(moments[0], moments[-1]))
    step = max(1, round(_length(moments, 0)))

    def usd(retrained: Sequence[datetime]) -> float:
        return total_usd(on_cadence(candidate, candidate, retrained, judged), judged)

    costs = {"never": usd([])}
    for months in range(step, total + 1, step):
        costs[str(months)] = usd(retrain_moments(moments, months))
    best = min(costs, key=lambda name: (costs[name], name != "never"))
    labels = rate.asked_share_per_month * len(judged.facts)
    retrain = prices.work_usd("fine_tune", StepWork(trained=True, labels=round(labels)))
    loss = prices.queries(0) * prices.economics.wrong_answer_usd * rate.asked_share_per_month
    return Retraining(
        candidate=candidate,
        best_months=None if best == "never" else int(best),
        rule_months=math.sqrt(2 * retrain / loss) if loss > 0 else None,
        costs=costs,
    )


def update_rate(facts: Sequence[DatedFact], document_days: int, begin: datetime, end: datetime) -> UpdateRate:
    """How often documents and asked answers changed between `begin` (exclusive) and `end` (inclusive)."""
    months = max(months_between(begin, end), 1e-9)
    changes = [at for fact in facts for at in fact.changes() if begin < at <= end]
    return UpdateRate(
        document_days=document_days / months * 12,
        asked_days=len({at.date() for at in changes}) / months * 12,
        asked_share_per_month=len(changes) / len(facts) / months,
    )
