"""A backtest on a small history: retrieval follows the documents, weights remember the day they were made."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from steelyard.schema.errors import UserError
from steelyard.workspace import Workspace
from steelyard.workspace.backtesting import BacktestPlan

PLACES = ("Basel", "Cairo", "Delhi", "Essen", "Fargo", "Genoa", "Hanoi", "Izmir", "Jaffa", "Kyoto", "Lagos", "Malmo")
TOPICS = (("opening fee", 3), ("seat limit", 11), ("notice period in days", 29))
MONTHS = tuple(f"2025-{month:02d}-01" for month in range(1, 7))
CHANGED = 3
"""From this step on every fact of every second office has another value."""


def value(place: int, topic: int, step: int) -> int:
    moved = step >= CHANGED and place % 2 == 0
    return TOPICS[topic][1] + place * 40 + (1000 if moved else 0)


def page(place: int, step: int) -> str:
    lines = [
        f"The {name} of the {PLACES[place]} office is {value(place, topic, step)}."
        for topic, (name, _) in enumerate(TOPICS)
    ]
    return f"# Office in {PLACES[place]}\n\n" + "\n\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def offices(tmp_path_factory):
    folder = tmp_path_factory.mktemp("offices")
    for step, month in enumerate(MONTHS):
        for place, name in enumerate(PLACES):
            path = folder / "past" / month / f"{name.lower()}.md"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(page(place, step))
    rows = []
    for place, name in enumerate(PLACES):
        for topic, (what, _) in enumerate(TOPICS):
            spans = [(0, CHANGED), (CHANGED, None)] if place % 2 == 0 else [(0, None)]
            rows += [
                {
                    "question": f"What is the {what} of the {name} office?",
                    "answers": [str(value(place, topic, begin))],
                    "source": f"docs/{name.lower()}.md",
                    "valid_from": MONTHS[begin],
                    "valid_to": MONTHS[end] if end else None,
                    "group": f"{name}-{topic}",
                }
                for begin, end in spans
            ]
    (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "steelyard.toml").write_text(
        '[workspace]\nname = "offices"\n[[sources]]\npath = "docs"\nallow = ["everyone"]\n'
        '[components.answer]\ntask = "answer"\nquestions = "questions.jsonl"\n'
    )
    return folder


@pytest.fixture(scope="module")
def replayed(offices):
    return Workspace(offices).backtest(BacktestPlan(histories={"docs": offices / "past"}))


def curve(found, name, figure):
    return [getattr(step, figure).mean for step in found.of(name)]


def test_weights_go_stale_where_the_documents_changed_and_retrieval_does_not(replayed):
    never = curve(replayed, "closed-book (never)", "stale")
    assert never[:CHANGED] == [0.0] * CHANGED
    assert min(never[CHANGED:]) > 0.3
    assert max(curve(replayed, "closed-book (monthly)", "stale")) == 0.0
    assert max(curve(replayed, "rag-bm25", "stale")) == 0.0
    assert min(curve(replayed, "rag-bm25", "accuracy")) > 0.6


def test_the_update_rate_counts_days_on_which_asked_answers_changed(replayed):
    days = 151  # from 1 January to 1 June
    assert replayed.update_rate.asked_days == pytest.approx(365.25 / days)
    assert replayed.update_rate.document_days == replayed.update_rate.asked_days


def test_a_lag_makes_retrieval_stale_for_that_long(offices):
    from datetime import timedelta

    late = Workspace(offices).backtest(BacktestPlan(histories={"docs": offices / "past"}, lag=timedelta(days=20)))
    stale = curve(late, "rag-bm25", "stale")
    assert stale[CHANGED] > 0.3
    assert stale[CHANGED + 1] == 0.0


def test_a_second_run_reads_what_the_first_one_kept(offices, replayed):
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "steelyard",
            "-w",
            str(offices),
            "backtest",
            "--history",
            f"docs={offices / 'past'}",
            "--json",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    tree = json.loads(done.stdout)
    assert tree["hindsight"]["best"] == replayed.hindsight.best
    assert [step["date"] for step in tree["steps"]] == list(MONTHS)
    assert tree["steps"] == json.loads(json.dumps(replayed.to_json()))["steps"]


def test_an_interrupted_replay_goes_on_to_the_same_figures(offices, replayed, tmp_path):
    import shutil

    shutil.copytree(offices, tmp_path / "w")
    answers = next((tmp_path / "w" / ".steelyard" / "backtest" / "answer").glob("*/answers"))
    for path in answers.glob("*/2025-0[3-6]*.json"):
        path.unlink()
    (answers / "rag-bm25" / "2025-02-01T000000.json").write_text('{"answers": [')
    again = Workspace(tmp_path / "w").backtest(BacktestPlan(histories={"docs": tmp_path / "w" / "past"}))
    for name in ("rag-bm25", "closed-book (quarterly)"):
        assert curve(again, name, "accuracy") == curve(replayed, name, "accuracy")


def test_without_dated_questions_it_says_what_to_do(offices, tmp_path):
    import shutil

    shutil.copytree(offices, tmp_path / "w", ignore=shutil.ignore_patterns(".steelyard"))
    row = {"question": "What is the seat limit?", "answers": ["5"], "source": "docs/basel.md"}
    (tmp_path / "w" / "questions.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(UserError, match="steelyard probes"):
        Workspace(tmp_path / "w").backtest(BacktestPlan(histories={"docs": tmp_path / "w" / "past"}))
