"""Worlds with a known answer get the right verdict, for the right reason."""

from __future__ import annotations

import pytest
from planted_worlds import World, replayed

from steelyard.workspace.training import one_blas_thread

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _one_thread():
    with one_blas_thread():
        yield


def test_a_world_that_never_changes_is_answered_from_weights(tmp_path):
    found = replayed(World(steps=6, moved=lambda step, place: 0, muddled=True), tmp_path)
    assert found.hindsight.best == "closed-book (never)"
    assert "wrong answers and handoffs" in found.hindsight.because
    assert found.update_rate.asked_days == 0
    assert found.retraining[0].best_months is None
    assert found.hindsight.regret_usd > 0


def test_a_world_that_changes_all_the_time_is_answered_from_documents(tmp_path):
    found = replayed(World(steps=8, moved=lambda step, place: step), tmp_path, verdict="fine_tune")
    assert found.hindsight.best == "rag-bm25"
    assert found.hindsight.choice == "closed-book (quarterly)"
    assert "wrong answers" in found.hindsight.because or "up to date" in found.hindsight.because
    assert max(step.stale.mean for step in found.of("rag-bm25")) == 0.0
    assert max(step.stale.mean for step in found.of("closed-book (quarterly)")) > 0.5


def test_changes_where_nobody_asks_do_not_count_against_weights(tmp_path):
    news = lambda step: f"Bulletin {step}: the cafeteria serves menu number {step * 3 + 1} from today."  # noqa: E731
    found = replayed(World(steps=6, moved=lambda step, place: 0, news=news, muddled=True), tmp_path)
    assert found.update_rate.document_days > 10
    assert found.update_rate.asked_days == 0
    assert found.hindsight.best == "closed-book (never)"
    assert found.retraining[0].rule_months is None


def test_one_burst_in_month_twelve_is_worth_exactly_one_retraining(tmp_path):
    burst = 11
    found = replayed(World(steps=16, moved=lambda step, place: int(step >= burst), muddled=True), tmp_path)
    trained = [place for place, step in enumerate(found.of("closed-book (when it pays)")) if step.work.trained]
    assert trained == [0, burst]
    assert found.hindsight.best == "closed-book (when it pays)"
    stale = [step.stale.mean for step in found.of("closed-book (never)")]
    assert max(stale[:burst]) == 0.0
    assert min(stale[burst:]) > 0.5
