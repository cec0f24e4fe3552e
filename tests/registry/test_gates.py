"""Gates on planted runs: every reason to refuse, and what is said of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from steelyard.registry.gates import Contender, Limits, judge
from steelyard.schema.releases import Flipped, Gate, Parity
from steelyard.schema.runs import ItemResult, RunRecord

LIMITS = Limits(margin=0.01, alpha=0.05, agreement=0.99)


def item(number: int, scores: Mapping[str, float]) -> ItemResult:
    return ItemResult(
        item=f"q{number}", text="text", output="out", expected="want", scores=scores,
        seconds=0.01, tokens_in=0, tokens_out=0, cluster=f"d{number}",
    )  # fmt: skip


def run(metrics: Mapping[str, Sequence[float]], task: str = "classify", **more: object) -> RunRecord:
    rows = max(len(values) for values in metrics.values())
    items = tuple(
        item(at, {name: values[at] for name, values in metrics.items() if at < len(values)}) for at in range(rows)
    )
    base = RunRecord(
        key="k", component="intent", task=task, candidate="linear", approach="fine_tune", version=1, metric="accuracy",
        items=items, build_s=1.0, refresh_s=None, peak_mb=1.0, leaks=0, created="now",
    )  # fmt: skip
    return replace(base, **more)


def right(share: float, rows: int = 1_000, shift: int = 0) -> list[float]:
    wrong = {(at + shift) % rows for at in range(round((1 - share) * rows))}
    return [0.0 if at in wrong else 1.0 for at in range(rows)]


def by_metric(gates: Sequence[Gate]) -> dict[str, Gate]:
    return {gate.metric: gate for gate in gates}


def test_the_first_version_has_nothing_to_be_worse_than_but_must_not_leak() -> None:
    gates = by_metric(judge([Contender(run=run({"accuracy": right(0.9)}), production=None)], LIMITS))
    assert {name: gate.passed for name, gate in gates.items()} == {"accuracy": True, "leaks": True}
    assert "nothing is in production" in gates["accuracy"].detail
    leaking = judge([Contender(run=run({"accuracy": right(0.9)}, leaks=1), production=None)], LIMITS)
    assert not by_metric(leaking)["leaks"].passed


def test_better_passes_worse_fails_and_too_few_rows_ask_for_more() -> None:
    before = run({"accuracy": right(0.90)})
    better = by_metric(judge([Contender(run=run({"accuracy": right(0.95)}), production=before)], LIMITS))["accuracy"]
    worse = by_metric(judge([Contender(run=run({"accuracy": right(0.85)}), production=before)], LIMITS))["accuracy"]
    shuffled = run({"accuracy": right(0.90, shift=500)})
    even = by_metric(judge([Contender(run=shuffled, production=before)], LIMITS))["accuracy"]
    assert better.passed
    assert "differs by 5.0 points on 1,000 rows" in better.detail
    assert not worse.passed
    assert "looks worse" in worse.detail
    assert worse.more_rows is None
    assert not even.passed
    assert even.more_rows is not None
    assert f"not enough data: label {even.more_rows:,} more rows" in even.detail


def test_every_guarded_metric_must_hold_and_unscored_ones_are_left_out() -> None:
    before = run({"accuracy": right(0.90), "out_of_scope_recall": right(0.80, 500)})
    after = run({"accuracy": right(0.95), "out_of_scope_recall": right(0.70, 500)})
    gates = by_metric(judge([Contender(run=after, production=before)], LIMITS))
    assert gates["accuracy"].passed
    assert not gates["out_of_scope_recall"].passed
    assert set(gates) == {"accuracy", "out_of_scope_recall", "leaks"}


def test_stale_answers_are_better_when_fewer() -> None:
    before = run({"accuracy": right(0.9), "stale_answers": right(0.05)}, task="answer")
    after = run({"accuracy": right(0.9), "stale_answers": right(0.15)}, task="answer")
    worse = by_metric(judge([Contender(run=after, production=before)], LIMITS))["stale_answers"]
    assert not worse.passed
    assert "differs by 10.0 points" in worse.detail
    assert by_metric(judge([Contender(run=before, production=after)], LIMITS))["stale_answers"].passed


def test_margins_and_guarded_metrics_are_settings() -> None:
    before, after = run({"accuracy": right(0.90)}), run({"accuracy": right(0.885)})
    lenient = replace(LIMITS, margins={"accuracy": 0.05})
    assert not by_metric(judge([Contender(run=after, production=before)], LIMITS))["accuracy"].passed
    assert by_metric(judge([Contender(run=after, production=before)], lenient))["accuracy"].passed
    only = replace(LIMITS, guarded=("coverage",))
    assert set(by_metric(judge([Contender(run=after, production=before)], only))) == {"leaks"}


def test_a_served_form_that_says_something_else_is_refused_with_the_flipped_rows() -> None:
    def parity(flips: int) -> Parity:
        rows = tuple(Flipped(item=f"q{at}", text="t", reference="a", served="b") for at in range(flips))
        return Parity(reference="fp32", served="int8", rows=200, flipped=rows)

    contender = Contender(run=run({"accuracy": right(0.9)}), production=None, parities=[parity(2)])
    kept = by_metric(judge([contender], LIMITS))["export_parity"]
    lost = by_metric(judge([replace(contender, parities=[parity(7)])], LIMITS))["export_parity"]
    assert kept.passed
    assert not lost.passed
    assert [one.item for one in lost.flipped] == [f"q{at}" for at in range(7)]
    assert "193 of 200 rows, at least 99.0% are required; flipped: q0, q1, q2, q3, q4 and 2 more" in lost.detail
    assert lost.to_json()["flipped"][0] == {"item": "q0", "text": "t", "reference": "a", "served": "b"}


def test_components_of_one_promotion_are_corrected_together() -> None:
    before = run({"accuracy": right(0.90, 1_000)})
    # 46 rows gained and 37 lost of 1,000: shown alone, not among four
    values = list(before.items)
    after_scores = [one.scores["accuracy"] for one in values]
    wrong = [at for at, score in enumerate(after_scores) if score == 0.0][:46]
    good = [at for at, score in enumerate(after_scores) if score == 1.0][:37]
    for at in wrong:
        after_scores[at] = 1.0
    for at in good:
        after_scores[at] = 0.0
    after = run({"accuracy": after_scores})
    alone = judge([Contender(run=after, production=before)], LIMITS)
    four = [Contender(run=replace(after, component=f"c{at}"), production=before) for at in range(4)]
    assert by_metric(alone)["accuracy"].passed
    assert not any(gate.passed for gate in judge(four, LIMITS) if gate.metric == "accuracy")
