"""Monitors: planted faults are found, twins raise no alert, and each alert names whom to blame."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from steelyard.config import WatchSettings
from steelyard.metrics.traffic import growth, month_end, shown_rise, weeks_until
from steelyard.schema.quality import GenerationQuality
from steelyard.schema.watching import ALERTS, BUCKETS_MS, WHOLE_REQUEST, Aggregate
from steelyard.serving.money_monitors import Crossing, Day, Month, Plan, watch_break_even, watch_spend
from steelyard.serving.state_monitors import base_model, watch_freshness, watch_ingest, watch_models, watch_retrieval
from steelyard.serving.traffic_monitors import Traffic, watch_drift, watch_errors, watch_latency, watch_refusals

WATCH = WatchSettings()
LABELS = np.array([0.3, 0.2, 0.15, 0.1, 0.1, 0.08, 0.05, 0.02])
DAYS = 28


def sums(component: str, requests: int, dimension: str = "all", name: str = "", **counts) -> Aggregate:
    buckets = [0] * (len(BUCKETS_MS) + 1)
    buckets[5] = requests
    given = {"latency_ms": 30.0 * requests, "buckets": tuple(buckets), **counts}
    return Aggregate(
        component=component,
        candidate="",
        version=0,
        arm="",
        dimension=dimension,
        slice=name,
        requests=requests,
        **given,
    )


def simulated(seed: int, requests: int = 1000, *, late: dict | None = None) -> Traffic:
    """A day after four weeks of a pipeline; `late` are the rates of that day, where they differ."""
    rng = np.random.default_rng(seed)
    usual = {"errors": 0.002, "declined": 0.2, "outside": 0.05, "slow": 0.02, "labels": LABELS}

    def part(count: int, rates: dict) -> list[Aggregate]:
        # Days differ a little whatever is planted: each rate is drawn around its own.
        wobble = {name: rates[name] * rng.uniform(0.9, 1.1) for name in ("errors", "declined", "outside", "slow")}
        drawn = {name: int(rng.binomial(count, rate)) for name, rate in wobble.items()}
        labels = rng.multinomial(count, rng.dirichlet(rates["labels"] * 2000))
        return [
            sums(WHOLE_REQUEST, count, errors=drawn["errors"], slow=drawn["slow"]),
            sums("intent", count, out_of_scope=drawn["outside"]),
            sums("answer", count, abstained=drawn["declined"]),
            *(sums("intent", int(n), "label", f"label{at}") for at, n in enumerate(labels) if n),
        ]

    return Traffic(now=part(requests, {**usual, **(late or {})}), before=part(requests * DAYS, usual))


def alerts(traffic: Traffic) -> list[tuple[str, str]]:
    found = [
        *watch_errors(traffic, WATCH, {}),
        *watch_refusals(traffic, WATCH, {"answer": 0.2}),
        *watch_latency(traffic, WATCH, 800.0),
        *watch_drift(traffic, WATCH, ["intent"])[1],
    ]
    return [(one.name, one.blame) for one in found]


def test_days_like_those_before_raise_an_alert_in_less_than_one_of_a_hundred() -> None:
    raised = sum(bool(alerts(simulated(seed))) for seed in range(300))
    assert raised <= 3


@pytest.mark.parametrize(
    ("late", "expected"),
    [
        ({"errors": 0.04}, ("error_rate_high", WHOLE_REQUEST)),
        ({"declined": 0.4}, ("refusal_rate_high", "answer")),
        ({"slow": 0.1}, ("latency_high", "answer")),
        ({"labels": np.roll(LABELS, 3)}, ("router_drift", "intent")),
        ({"outside": 0.25}, ("router_drift", "intent")),
    ],
)
def test_a_planted_fault_is_found_in_a_day_of_a_thousand_requests_in_nineteen_of_twenty(late, expected) -> None:
    found = [alerts(simulated(seed, late=late)) for seed in range(100)]
    assert sum(expected in one for one in found) >= 95


def test_small_counts_raise_no_alert_whatever_they_show() -> None:
    assert alerts(simulated(1, requests=50, late={"errors": 0.5, "declined": 0.9, "slow": 0.9})) == []


def test_a_rise_of_refusals_names_the_slice_it_came_from() -> None:
    now = [
        sums("answer", 1000, abstained=450),
        sums("answer", 600, "label", "refund", abstained=410),
        sums("answer", 400, "label", "delivery", abstained=40),
    ]
    (found,) = watch_refusals(Traffic(now=now, before=[]), WATCH, {"answer": 0.2})
    assert "label 'refund', 68.3% of 600" in found.message


def test_a_difference_of_shares_needs_both_sides() -> None:
    assert shown_rise(5, 10, 0, 0) == -1.0
    assert shown_rise(500, 1000, 100, 1000) > 0.3


def daily(rate: float, days: int, seed: int, level: float = 400.0) -> list[float]:
    """Days with a weekly rhythm, more spread than Poisson's, growing by `rate` a month."""
    rng = np.random.default_rng(seed)
    rhythm = np.array([1.1, 1.2, 1.15, 1.1, 1.0, 0.75, 0.7])
    mean = level * (1 + rate) ** (np.arange(days) / 30.4) * rhythm[np.arange(days) % 7]
    return rng.poisson(mean * rng.gamma(50, 1 / 50, days)).astype(float).tolist()


def test_growth_is_within_its_interval_as_often_as_stated() -> None:
    found = [growth(daily(0.12, 56, seed)) for seed in range(200)]
    covered = sum(one.low <= 0.12 <= one.high for one in found)
    assert 180 <= covered <= 199
    assert np.median([one.rate for one in found]) == pytest.approx(0.12, abs=0.02)


def test_growth_is_not_told_before_two_weeks_of_days() -> None:
    assert growth(daily(0.1, 13, 0)) is None


CROSSING = Crossing(component="reply", first="rag", second="tuned", break_even=126_493.0, queries_per_month=100_000.0)


def test_the_way_to_the_break_even_is_said_in_weeks() -> None:
    counts = [100.0 * 1.12 ** (day / 30.4375) for day in range(56)]
    (found,), _ = watch_break_even([CROSSING], {"reply": growth(counts)}, WATCH)
    assert found.sentence.endswith("At 12% growth a month you cross it in 9 weeks (9 to 9).")
    assert weeks_until(100.0, 50.0, 0.1) is None  # it moves away
    assert weeks_until(100.0, 50.0, -0.1) == pytest.approx(np.log(0.5) / np.log(0.9) * 4.348, rel=1e-3)


def test_growth_towards_the_break_even_alarms_and_flat_traffic_does_not() -> None:
    def raised(rate: float) -> int:
        grown = (growth(daily(rate, 56, seed)) for seed in range(100))
        return sum(bool(watch_break_even([CROSSING], {"reply": one}, WATCH)[1]) for one in grown)

    assert raised(0.15) >= 95
    assert raised(0.0) <= 5  # the interval of the growth is a 95 % interval, one side of it counts


def month(requests_a_day: float, seed: int) -> Month:
    rng = np.random.default_rng(seed)
    days = [Day(requests=int(n), declined=int(0.2 * n), usd=0.01 * n) for n in rng.poisson(requests_a_day, 12)]
    so_far = Day(
        requests=sum(one.requests for one in days),
        declined=sum(one.declined for one in days),
        usd=sum(one.usd for one in days),
    )
    return Month(component="answer", so_far=so_far, days=days, passed=12.0, left=18.0)


def test_a_month_that_will_cost_more_than_planned_is_told_before_its_end_and_a_planned_one_is_not() -> None:
    plans = {"answer": Plan(component="answer", requests=30_000, usd_per_call=0.01, declined=0.2)}
    dear = [watch_spend([month(1500, seed)], plans, 2.0, WATCH)[1] for seed in range(100)]
    planned = [watch_spend([month(1000, seed)], plans, 2.0, WATCH)[1] for seed in range(100)]
    assert sum(bool(one) for one in dear) == 100
    assert sum(bool(one) for one in planned) == 0
    assert dear[0][0].blame == "answer"
    assert "handoffs" in dear[0][0].message


def test_a_month_of_few_requests_is_not_called_dear() -> None:
    plans = {"answer": Plan(component="answer", requests=30_000, usd_per_call=0.01, declined=0.0)}
    few = Day(requests=60, declined=60, usd=0.6)
    only = Month(component="answer", so_far=few, days=[few], passed=1.0, left=29.0)
    assert watch_spend([only], plans, 2.0, WATCH)[1] == []


def test_a_months_end_is_what_was_spent_and_the_mean_of_the_days_to_come() -> None:
    expected, low, high = month_end([10.0, 12.0, 8.0], 30.0, 6.0)
    assert expected == pytest.approx(30 + 6 * 10)
    # t(0.975, 2) = 4.303, s = 2, sqrt(6 + 36 / 3) = 4.243
    assert high - expected == pytest.approx(4.303 * 2 * 4.243, rel=1e-3)
    assert low == pytest.approx(53.5, abs=0.1)
    assert month_end([10.0, 12.0], 22.0, 5.0) is None


def quality(generation: int, recall: float, gold: str = "same", questions: int = 200) -> GenerationQuality:
    half = 1.96 * (recall * (1 - recall) / questions) ** 0.5
    figures = {"recall_at_5": recall, "recall_low": recall - half, "recall_high": recall + half}
    return GenerationQuality(
        component="answer",
        generation=generation,
        as_of="2026-11-01",
        passages=10,
        gold=gold,
        questions=questions,
        ndcg_at_10=recall,
        ndcg_low=recall,
        ndcg_high=recall,
        measured="2026-11-01",
        **figures,
    )


def test_a_drop_of_retrieval_is_found_on_the_same_questions_only() -> None:
    before = [quality(number, 0.85) for number in range(1, 6)]
    (found,) = watch_retrieval([*before, quality(6, 0.65)], 6, WATCH)
    assert (found.name, found.blame) == ("retrieval_quality_drop", "answer")
    assert watch_retrieval([*before, quality(6, 0.65, gold="other")], 6, WATCH) == []
    assert watch_retrieval([*before, quality(6, 0.65)], 5, WATCH) == []


def test_generations_that_search_equally_well_raise_no_alert() -> None:
    rng = np.random.default_rng(0)
    raised = 0
    for _ in range(300):
        kept = [quality(number, rng.binomial(200, 0.85) / 200) for number in range(1, 7)]
        raised += bool(watch_retrieval(kept, 6, WATCH))
    assert raised <= 1


def test_a_source_that_waits_too_long_is_told_by_name() -> None:
    found = watch_freshness({"docs": 30 * 3600.0, "docs-internal": 3600.0}, WATCH)
    assert [(one.name, one.blame) for one in found] == [("freshness_lag", "docs")]


def test_files_that_cannot_be_read_are_told_by_source() -> None:
    failing = [("docs/a.pdf", "damaged"), ("docs/b.pdf", "damaged"), ("docs-internal/c.docx", "too large")]
    found = watch_ingest(failing, 80, ["docs", "docs-internal"])
    assert [(one.blame, one.evidence["files"]) for one in found] == [("docs", 2), ("docs-internal", 1)]
    assert watch_ingest([], 80, ["docs"]) == []


def test_a_model_that_ends_soon_is_told_and_one_without_a_date_is_not() -> None:
    today = date(2026, 11, 22)
    models = [
        base_model("near", "the generator", date(2027, 1, 14), today),
        base_model("far", "the generator", date(2028, 1, 1), today),
        base_model("unknown", "the generator", None, today),
        base_model("gone", "reply", date(2026, 10, 23), today),
    ]
    found = watch_models(models, WATCH)
    assert [(one.blame, one.severity) for one in found] == [("the generator", "warning"), ("reply", "critical")]
    assert "in 53 days" in found[0].message


def test_every_alert_has_a_name_that_is_listed() -> None:
    assert len(ALERTS) == 10
