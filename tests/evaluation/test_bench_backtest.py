"""The backtest benchmark keeps what each history gave, and goes on where it was cut short."""

from __future__ import annotations

import pytest
from tiny_history import a_history

from steelyard.evaluation.bench_backtest import _kept, _replayed


@pytest.mark.slow
def test_a_history_is_replayed_with_two_wordings_and_taken_up_again(tmp_path):
    a_history(tmp_path / "data" / "tiny")
    seen: list[int] = []
    first = _replayed(tmp_path / "tiny", "tiny", tmp_path / "data", seen.append)
    summary = first[-1]
    assert (summary["steps"], summary["as_trained"]) == (3, 0)
    assert summary["seconds"] > 0
    assert seen[-1] == 3
    never = next(row for row in first if row.get("candidate") == "closed-book (never)")
    assert never["stale_worst"] > 0.2
    # Cut short: a later step is gone, and nobody can say how long the whole took.
    for answers in (tmp_path / "tiny").glob(".steelyard/backtest/*/*/answers/*/2026-08*.json"):
        answers.unlink()
    again = _replayed(tmp_path / "tiny", "tiny", tmp_path / "data", seen.append)
    assert {row["seconds"] for row in again} == {None}
    for before, after in zip(first[:-1], again[:-1], strict=True):
        assert {k: v for k, v in before.items() if k not in ("seconds", "usd")} == {
            k: v for k, v in after.items() if k not in ("seconds", "usd")
        }


def test_what_a_history_gave_is_not_made_twice_unless_it_was_cut_short(tmp_path):
    made: list[int] = []

    def make():
        made.append(1)
        return [{"history": "é", "seconds": 1.5}]

    file = tmp_path / "deep" / "one.json"
    assert _kept(file, make) == _kept(file, make) == [{"history": "é", "seconds": 1.5}]
    assert len(made) == 1
    file.write_text('[{"history"')
    assert _kept(file, make)[0]["seconds"] == 1.5
    assert len(made) == 2
