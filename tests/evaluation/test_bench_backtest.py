"""The backtest benchmark keeps what each history gave, and goes on where it was cut short."""

from __future__ import annotations

import gzip
import json

import pytest
from planted_worlds import TOWNS

from steelyard.evaluation.bench_backtest import _kept, _replayed

DAYS = ("2026-06-01", "2026-07-01", "2026-08-01")


def a_history(folder):
    """Pages of offices with one fact each, that changes once in every second of them, as the shared histories are laid out."""
    folder.mkdir(parents=True)
    changes, probes = [], []
    for place, town in enumerate(TOWNS * 2):
        name = f"{town}{place}"
        values = [place + 10, place + 10, place + 500 if place % 2 else place + 10]
        for step, day in enumerate(DAYS):
            if step == 0 or values[step] != values[step - 1]:
                text = f"# {name}\n\nThe annual fee of the {name} branch is {values[step]} crowns.\n"
                changes.append({"date": day, "op": "modify", "path": f"{name}.md", "text": text})
        question = f"Which release cycle of {name} was released most recently?"
        spans = [(0, 2), (2, None)] if place % 2 else [(0, None)]
        probes += [
            {
                "id": f"{name}-{begin}",
                "fact_id": name,
                "question": question,
                "answers": [str(values[begin])],
                "valid_from": DAYS[begin],
                "valid_to": DAYS[end] if end else None,
                "source_path": f"{name}.md",
            }
            for begin, end in spans
        ]
    for name, rows in (("changes", sorted(changes, key=lambda row: row["date"])), ("probes", probes)):
        with gzip.open(folder / f"{name}.jsonl.gz", "wt", encoding="utf-8") as out:
            out.writelines(json.dumps(row) + "\n" for row in rows)


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
