import numpy as np
import pytest

from steelyard.decision.money import DRAWS, error_rates, price
from steelyard.decision.recommend import break_even_queries
from steelyard.schema.decision import Facts, Pilot


def share(queries, updates):
    facts = Facts(
        behaviour="facts",
        queries_per_month=queries,
        knowledge_update_per_year=updates,
        corpus_tokens=5e6,
        examples_count=0,
    )
    return price(facts).p_cheaper("rag", "fine_tune")


@pytest.mark.parametrize(
    ("updates", "expected"),
    [
        (0.0, {1e5: 0.84, 3e5: 0.67, 1e6: 0.41, 3e6: 0.22, 1e7: 0.06}),
        (4.0, {1e5: 0.97, 3e5: 0.87, 1e6: 0.56, 3e6: 0.34, 1e7: 0.12}),
        (12.0, {1e5: 1.0, 3e5: 0.98, 1e6: 0.78, 3e6: 0.51, 1e7: 0.26}),
    ],
)
def test_wide_ranges_give_the_published_shares(updates, expected):
    for queries, published in expected.items():
        assert share(queries, updates) == pytest.approx(published, abs=0.1)


def test_tuning_gains_with_volume_and_loses_with_updates():
    by_volume = [share(queries, 4.0) for queries in (1e4, 1e5, 1e6, 1e7)]
    by_updates = [share(1e6, updates) for updates in (0.0, 4.0, 12.0, 52.0)]
    assert by_volume == sorted(by_volume, reverse=True)
    assert by_updates == sorted(by_updates)


def test_p_cheapest_sums_to_one_and_leaves_out_what_is_not_asked():
    money = price(Facts(behaviour="facts", queries_per_month=1e5, knowledge_update_per_year=1.0, corpus_tokens=1e5))
    shares = money.p_cheapest(["rag", "prompt"])
    assert list(shares) == ["prompt", "rag"]
    assert sum(shares.values()) == pytest.approx(1)
    assert money.p_cheapest([]) == {}


def test_evpi_is_the_expected_regret_of_the_best_mean():
    money = price(Facts(behaviour="facts", queries_per_month=1e6, knowledge_update_per_year=1.0, corpus_tokens=1e6))
    rag, tuned = money.totals["rag"], money.totals["fine_tune"]
    by_hand = min(rag.mean(), tuned.mean()) - np.minimum(rag, tuned).mean()
    assert money.evpi_usd(["rag", "fine_tune"]) == pytest.approx(by_hand)
    assert len(rag) == DRAWS


def test_error_rates_follow_from_scores_in_shares_or_percent():
    assert dict(error_rates(Pilot(metric="accuracy", scores={"rag": 0.9}, target=0.8)))["rag"] == pytest.approx(0.1)
    assert dict(error_rates(Pilot(metric="accuracy", scores={"rag": 90.0}, target=80.0)))["rag"] == pytest.approx(0.1)
    assert dict(error_rates(Pilot(metric="error rate", scores={"rag": 0.1}, lower_is_better=True)))[
        "rag"
    ] == pytest.approx(0.1)
    assert error_rates(Pilot(metric="p95 latency ms", scores={"rag": 400.0}, lower_is_better=True)) == ()
    assert error_rates(None) == ()


def test_an_unmeasured_approach_is_priced_at_the_mean_error_of_the_measured():
    rates = dict(error_rates(Pilot(metric="accuracy", scores={"rag": 0.9, "fine_tune": 0.8})))
    assert rates["prompt"] == pytest.approx(0.15)


def test_break_even_rises_with_updates():
    def even(updates):
        facts = Facts(
            behaviour="facts",
            queries_per_month=1e6,
            knowledge_update_per_year=updates,
            corpus_tokens=5e6,
            examples_count=0,
        )
        return break_even_queries(facts)

    found = [even(updates) for updates in (0.0, 1.0, 4.0, 12.0)]
    assert None not in found
    assert found == sorted(found)
