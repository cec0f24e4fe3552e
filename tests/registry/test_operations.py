"""The record of operations: rows and sums agree, slices add up, and writing waits for nobody."""

from __future__ import annotations

import threading

import pytest

from steelyard.registry.feedback import FeedbackLog
from steelyard.registry.operations import HOUR_S, Operations
from steelyard.registry.recorder import Recorder
from steelyard.schema.errors import NotFoundError, StoreError, UserError
from steelyard.schema.feedback import Feedback
from steelyard.schema.watching import Noted

NOON = 480_000 * HOUR_S + 1.5


def call(number: int = 0, **changes) -> Noted:
    values = {
        "id": f"{number:032x}",
        "at": NOON,
        "component": "intent",
        "candidate": "linear",
        "version": 1,
        "release": 1,
        "generation": 3,
        "latency_ms": 12.0,
    }
    return Noted(**{**values, **changes})


@pytest.fixture
def operations(tmp_path) -> Operations:
    return Operations(tmp_path / "operations.sqlite")


def test_sums_are_those_of_the_calls(operations) -> None:
    operations.write([call(usd=0.25), call(1, error="serving.broken"), call(2, abstained=True)], limit_ms=100)
    operations.write([call(3, latency_ms=250.0, usd=0.5, tokens_in=7)], limit_ms=100)
    (found,) = operations.aggregates(NOON, NOON)
    assert (found.requests, found.errors, found.abstained, found.slow) == (4, 1, 1, 1)
    assert (found.usd, found.tokens_in, found.latency_ms) == (0.75, 7, 286.0)
    assert sum(found.buckets) == 4


def test_a_call_counts_in_each_of_its_slices(operations) -> None:
    operations.write([call(label="refund", groups=("staff", "everyone"), key="k1", source="docs")], limit_ms=100)
    dimensions = ("all", "label", "source", "group", "key")
    found = {(one.dimension, one.slice) for one in operations.aggregates(NOON, NOON, dimensions=dimensions)}
    assert found == {
        ("all", ""),
        ("label", "refund"),
        ("source", "docs"),
        ("group", "staff"),
        ("group", "everyone"),
        ("key", "k1"),
    }


def test_only_the_hours_asked_for_are_counted_and_no_shadow_among_answers(operations) -> None:
    operations.write([call(), call(1, at=NOON + HOUR_S), call(2, arm="shadow", trial=4)], limit_ms=100)
    assert [one.requests for one in operations.aggregates(NOON, NOON + 5)] == [1]
    assert [one.requests for one in operations.aggregates(NOON, NOON + HOUR_S)] == [2]
    assert [row["requests"] for row in operations.by_hour(NOON, NOON + HOUR_S, ["requests"])] == [1, 1]
    assert operations.calls(f"{2:032x}") == []
    assert [row["arm"] for row in operations.trial_rows(4, NOON - 1, NOON + 1)] == ["shadow"]


def test_quantiles_are_read_from_the_buckets(operations) -> None:
    operations.write([call(at, latency_ms=float(at)) for at in range(1, 101)], limit_ms=100)
    (found,) = operations.aggregates(NOON, NOON)
    assert found.quantile_ms(0.5) == pytest.approx(50, abs=1)
    assert found.quantile_ms(0.95) == pytest.approx(95, abs=1)


def test_pruning_takes_single_calls_before_their_sums(operations) -> None:
    operations.write([call(), call(1, at=NOON + HOUR_S)], limit_ms=100)
    assert operations.prune(NOON + 60, 0.0) == 1
    assert operations.aggregates(NOON, NOON)[0].requests == 1
    operations.prune(0.0, NOON + HOUR_S)
    assert operations.aggregates(NOON, NOON) == []
    assert operations.first() == NOON - 1.5 + HOUR_S


def test_nothing_that_several_threads_note_is_lost_when_the_recorder_closes(operations) -> None:
    recorder = Recorder(operations, limit_ms=100, keep_days=1e5, keep_hours_days=1e5)
    threads = [
        threading.Thread(target=lambda base=base: [recorder.note([call(base + at)]) for at in range(200)])
        for base in (0, 1000, 2000)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorder.close()
    assert operations.aggregates(NOON, NOON)[0].requests == 600
    assert recorder.dropped == 0


def test_a_damaged_file_says_that_no_answer_depends_on_it(tmp_path) -> None:
    path = tmp_path / "operations.sqlite"
    path.write_text("no database" * 200)
    with pytest.raises(StoreError, match="no answer depends on it"):
        Operations(path).write([call()], limit_ms=100)


def given_feedback(**changes) -> Feedback:
    values = {
        "number": 0,
        "at": "2026-11-01T10:00:00+00:00",
        "request": "a" * 32,
        "component": "intent",
        "versions": ("intent/linear@1",),
        "verdict": "wrong",
        "caller": "k1",
    }
    return Feedback(**{**values, **changes})


def test_feedback_is_kept_until_reviewed_and_reviewed_once(tmp_path) -> None:
    log = FeedbackLog(tmp_path / "feedback.sqlite")
    assert log.all() == []
    first = log.add(given_feedback())
    again = log.add(given_feedback(label="refund"))
    other = log.add(given_feedback(caller="k2"))
    assert [one.number for one in log.all("new")] == [again.number, other.number]  # the same caller changed their mind
    assert log.settle(again.number, "accepted", at="2026-11-02", reviewer="ann", row={"row": 7}).state == "accepted"
    assert log.all("accepted")[0].row == '{"row": 7}'
    with pytest.raises(UserError, match="accepted already, by ann"):
        log.settle(again.number, "rejected", at="2026-11-02", reviewer="bob")
    with pytest.raises(NotFoundError):
        log.get(99)
    assert first.label is None
    assert log.verdicts("2026-11-01T09") == [("a" * 32, "intent", "wrong")] * 2
