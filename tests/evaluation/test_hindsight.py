"""A replay's answers become curves, money and a verdict, by arithmetic that can be checked by hand."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest

from steelyard.config import EconomicsSettings, TrafficSettings
from steelyard.evaluation.ageing import Answers, Replayed
from steelyard.evaluation.backtest import Replaying, backtest, one_in
from steelyard.evaluation.dated import facts_of, judge, known_by, relabelled
from steelyard.evaluation.hindsight import (
    ERRORS,
    Judged,
    Prices,
    best_retraining,
    following,
    lines_usd,
    on_cadence,
    paying_moments,
    retrain_moments,
    update_rate,
)
from steelyard.schema.ageing import AgedAnswer, StepWork
from steelyard.schema.items import Item

MONTHS = [datetime(2025, month, 1, tzinfo=UTC) for month in range(1, 13)]


def row(fact, answer, begin=None, end=None):
    return Item(
        id=f"{fact}-{answer}",
        task="answer",
        text=f"what is {fact}?",
        answers=(answer,),
        source=f"{fact}.md",
        valid_from=MONTHS[begin] if begin is not None else None,
        valid_to=MONTHS[end] if end is not None else None,
        group=fact,
    )


CHANGING = [row("limit", "ten", None, 4), row("limit", "twenty", 4, 8)]
STEADY = [row("colour", "red")]


def said(fact, text):
    return AgedAnswer(fact=fact.name, text=text or "", abstained=text is None)


def test_an_answer_is_right_stale_or_refused_by_its_day():
    fact = facts_of(CHANGING)[0]
    early, middle, late = MONTHS[0], MONTHS[5], MONTHS[9]
    assert judge(fact, said(fact, "it is ten"), early).right
    assert judge(fact, said(fact, "it is ten"), middle).stale
    assert judge(fact, said(fact, "it is twenty"), early).wrong
    assert not judge(fact, said(fact, "it is twenty"), early).stale
    assert judge(fact, said(fact, "it is twenty"), late).stale
    assert judge(fact, said(fact, None), middle).refused
    assert judge(fact, said(fact, None), late).right


def test_what_is_known_by_a_day_holds_nothing_of_the_future():
    facts = facts_of([*CHANGING, row("price", "later only", 6, None)])
    known = known_by(facts, MONTHS[2])
    assert [(item.answers, item.valid_to) for item in known] == [(("ten",), None)]
    after = {item.group: item.answerable for item in known_by(facts, MONTHS[9])}
    assert after == {"limit": False, "price": True}


def test_labels_are_looked_up_anew_only_where_an_answer_changed():
    facts = facts_of([*CHANGING, *STEADY])
    assert relabelled(facts, None, MONTHS[0]) == 2
    assert relabelled(facts, MONTHS[0], MONTHS[3]) == 0
    assert relabelled(facts, MONTHS[0], MONTHS[4]) == 1
    assert relabelled(facts, MONTHS[4], MONTHS[9]) == 1


def a_replay(items, *, wrong=0.5, queries=1000.0, right=True):
    """A retriever that is always right (or always declines) and a model that answers what held when it was trained."""
    facts = facts_of(items)

    def told(at):
        rows = [fact.holding(at) for fact in facts]
        return tuple(
            said(fact, holding.answers[0] if holding else None) for fact, holding in zip(facts, rows, strict=True)
        )

    trained = {at: Answers(told(at), StepWork(trained=True)) for at in MONTHS}
    declines = tuple(said(fact, None) for fact in facts)
    follow = {at: Answers(told(at) if right else declines, StepWork(documents=1)) for at in MONTHS}
    replayed = Replayed(moments=tuple(MONTHS), following={"rag": follow}, trained={"closed-book": trained})
    economics = EconomicsSettings(wrong_answer_usd=wrong, handoff_usd=1.0, hour_usd=100.0, cpu_hour_usd=0.0)
    prices = Prices(economics=economics, traffic=TrafficSettings(queries_per_month=queries))
    return Judged(facts, replayed, prices)


def about(judged, verdict="rag"):
    rate = update_rate(judged.facts, 12, MONTHS[0], MONTHS[-1])
    return Replaying(
        component="answer",
        every="month",
        questions_from="questions.jsonl",
        approaches={"rag": "rag"},
        verdict=verdict,
        rate=rate,
    )


def test_a_burst_of_changed_answers_is_an_event_and_a_steady_trickle_is_none():
    burst = [
        row(f"price {n}", answer, *span) for n in range(5) for answer, span in (("1", (None, 6)), ("2", (6, None)))
    ]
    trickle = [
        row(f"size {n}", answer, *span) for n in range(1, 11) for answer, span in (("1", (None, n)), ("2", (n, None)))
    ]

    marked = backtest(a_replay([*burst, *trickle]), about(a_replay([*burst, *trickle]))).events
    unmarked = backtest(a_replay(trickle), about(a_replay(trickle))).events

    assert marked == ((MONTHS[6], "6 of 15 answers changed"),)
    assert unmarked == ()


def test_errors_cost_queries_times_share_times_price():
    judged = a_replay([*CHANGING, *STEADY])
    never = on_cadence("never", "closed-book", [], judged)
    lines = lines_usd(never, judged)
    months = 31 / (365.25 / 12)
    assert lines[0][ERRORS] == 0
    # From May on one of two answers is wrong: half of 1,000 queries a month at 0.50 USD.
    assert lines[6][ERRORS] == pytest.approx(1000 * 0.5 * 0.5 * months)


@pytest.mark.parametrize(("months", "count"), [(1, 11), (3, 3), (12, 0), (math.inf, 0)])
def test_a_cadence_retrains_as_often_as_it_says(months, count):
    assert len(retrain_moments(MONTHS, months)) == count


def test_retraining_when_it_pays_waits_for_the_loss_and_never_acts_on_the_future():
    cheap = a_replay([*CHANGING, *STEADY], wrong=0.01, queries=10)
    assert paying_moments(cheap) == []
    dear = a_replay([*CHANGING, *STEADY], wrong=10.0, queries=100_000)
    assert paying_moments(dear) == [MONTHS[4], MONTHS[8]]


def test_a_world_that_never_changes_needs_no_retraining():
    judged = a_replay(STEADY)
    found = best_retraining("closed-book", judged, about(judged).rate)
    assert (found.best_months, found.rule_months) == (None, None)


def test_the_best_interval_follows_from_the_replay_and_the_rule_from_the_rate():
    judged = a_replay([*CHANGING, *STEADY], wrong=10.0, queries=100_000)
    rate = about(judged).rate
    found = best_retraining("closed-book", judged, rate)
    assert found.costs[str(found.best_months)] == min(found.costs.values()) < found.costs["never"]
    # Two changes of two facts in 11 months; a retraining takes 60 h x 1/4 x 100 USD and no label.
    per_month = 2 / 2 / ((MONTHS[-1] - MONTHS[0]).days / (365.25 / 12))
    assert rate.asked_share_per_month == pytest.approx(per_month)
    labels = round(per_month * 2) * 3.0
    assert found.rule_months == pytest.approx(math.sqrt(2 * (1500 + labels) / (100_000 * 10.0 * per_month)))


def test_hindsight_prices_quality_and_names_what_decided():
    changing = [item for n in range(10) for item in (row(f"f{n}", "old", None, 3), row(f"f{n}", "new", 3, None))]
    report = backtest(a_replay(changing, wrong=10.0, queries=100_000), about(a_replay(changing)))
    assert report.hindsight.best == "rag"
    assert report.hindsight.regret_usd == 0
    guessed = backtest(a_replay(changing, wrong=10.0, queries=100_000), about(a_replay(changing), "fine_tune"))
    assert guessed.hindsight.choice == "closed-book (quarterly)"
    assert guessed.hindsight.regret_usd > 0


def at_price(wrong):
    judged = a_replay([*CHANGING, *STEADY], wrong=wrong, queries=100_000)
    return backtest(judged, about(judged))


def test_hindsight_says_from_which_price_of_a_wrong_answer_another_is_cheaper():
    cheap = at_price(0.01).hindsight
    assert cheap.best == "closed-book (never)"
    assert cheap.flip_usd > 0.01
    below, above = (at_price(cheap.flip_usd * factor).hindsight.totals_usd for factor in (0.99, 1.01))
    assert below[cheap.best] < below[cheap.flip_to]
    assert above[cheap.flip_to] < above[cheap.best]


def test_a_lead_is_told_that_declining_is_dearer_than_being_wrong():
    [flip] = [sentence for sentence in at_price(0.01).sentences if "USD a wrong answer on" in sentence]
    assert "(now 0.01)" in flip
    assert "A handoff (1.00 USD) is priced above a wrong answer" in flip
    assert not [sentence for sentence in at_price(20.0).sentences if "A handoff" in sentence]


def test_where_retrieval_declines_hindsight_does_not_choose_it():
    judged = a_replay(STEADY, right=False)
    report = backtest(judged, about(judged))
    assert report.hindsight.best == "closed-book (never)"
    assert "wrong answers and handoffs" in report.hindsight.because


def test_a_lead_can_repeat_what_came_out():
    changing = [item for n in range(5) for item in (row(f"f{n}", "old", None, 2), row(f"f{n}", "new", 2, None))]
    judged = a_replay([*changing, *[row(f"s{n}", "steady") for n in range(20)]])
    text = " ".join(backtest(judged, about(judged)).sentences)
    assert "Trained once, closed-book would have given 1 stale answer in 5 by month 3" in text
    assert "rag answered rightly on 100% of the questions" in text


def test_json_carries_the_keys_of_the_contract():
    judged = a_replay([*CHANGING, *STEADY])
    tree = backtest(judged, about(judged)).to_json()
    assert {"steps", "update_rate_per_year", "hindsight"} <= set(tree)
    assert {"best", "regret_usd"} <= set(tree["hindsight"])
    assert {"accuracy", "stale", "refused", "cost_usd"} <= set(tree["steps"][0]["candidates"]["rag"])


def test_shares_read_as_one_in_so_many():
    assert one_in(0.21) == "1 stale answer in 5"


def test_a_follower_is_judged_by_the_documents_of_its_step():
    judged = a_replay(CHANGING)
    steps = following("rag", "rag", judged)
    assert steps.made == tuple(MONTHS)
