"""The backtest benchmark keeps what each history gave, and goes on where it was cut short."""

from __future__ import annotations

import pytest
from tiny_history import a_history

from steelyard.evaluation.bench_backtest import _copied, _kept, _replayed


@pytest.mark.slow
def test_a_history_is_replayed_with_two_wordings_and_taken_up_again(tmp_path):
    a_history(tmp_path / "data" / "tiny")
    seen: list[int] = []
    vectors = tmp_path / "vectors" / "tiny.sqlite"
    first = _replayed(tmp_path / "tiny", "tiny", tmp_path / "data", seen.append, vectors)
    summary = first[-1]
    assert (summary["steps"], summary["as_trained"]) == (3, 0)
    assert summary["seconds"] > 0
    assert seen[-1] == 3
    assert vectors.read_bytes()[:6] == b"SQLite"
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


def test_vectors_are_kept_for_other_code_and_said_to_be_there_only_where_they_are(tmp_path):
    one, other = tmp_path / "one.sqlite", tmp_path / "deep" / "other.sqlite"
    assert not _copied(None, one)
    assert not _copied(one, other)
    assert not other.exists()
    one.write_bytes(b"vectors")
    assert _copied(one, other)
    assert other.read_bytes() == b"vectors"
    assert [path.name for path in other.parent.iterdir()] == ["other.sqlite"]
