"""A backtest on a small history: retrieval follows the documents, weights remember the day they were made."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime

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
    counted = f"- Desks: {20 + place}\n- Rooms: {5 + place}\n"
    return f"# Office in {PLACES[place]}\n\n" + "\n\n".join(lines) + f"\n\n## Numbers\n\n{counted}"


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


def cli(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "steelyard", "-w", str(folder), *arguments],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def test_probes_count_only_after_review(offices, tmp_path):
    import shutil

    folder = tmp_path / "w"
    shutil.copytree(offices, folder, ignore=shutil.ignore_patterns(".steelyard"))
    past = f"docs={folder / 'past'}"
    row = {"question": "What is the seat limit?", "answers": ["5"], "source": "docs/basel.md"}
    (folder / "questions.jsonl").write_text(json.dumps(row) + "\n")
    derived = cli(folder, "probes", "--history", past, "--json")
    assert derived.returncode == 0, derived.stderr
    tree = json.loads(derived.stdout)
    assert (tree["facts"], tree["changed"]) == (42, 18)
    refused = cli(folder, "backtest", "--history", past)
    assert refused.returncode == 2
    assert "probes.unreviewed" in refused.stderr
    assert cli(folder, "probes", "--accept").returncode == 0
    kept = cli(folder, "probes", "--history", past)
    assert kept.returncode == 2
    assert "probes.reviewed" in kept.stderr
    done = cli(folder, "backtest", "--history", past, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["questions_from"] == "probes.jsonl, derived from the documents and reviewed"
    never = [step["candidates"]["closed-book (never)"]["stale"] for step in found["steps"]]
    assert never[0] == 0 < never[-1]


def test_wrong_rows_of_a_probes_file_are_all_named(offices, tmp_path):
    file = tmp_path / "probes.jsonl"
    good = {
        "id": "a-0",
        "group": "a",
        "question": "q",
        "answers": ["x"],
        "source": "docs/a.md",
        "valid_from": "2025-01-01",
        "reviewed": True,
    }
    file.write_text("\n".join(json.dumps(row) for row in (good, {**good, "valid_from": "soon"}, {"reviewed": True})))
    done = cli(offices, "backtest", "--probes", str(file), "--history", f"docs={offices / 'past'}", "--json")
    assert done.returncode == 2
    assert [finding["row"] for finding in json.loads(done.stdout)["findings"]] == [2, 3]


def test_weigh_uses_the_measured_rate_and_shows_how_it_would_have_aged(offices, replayed, tmp_path):
    import shutil

    folder = tmp_path / "w"
    shutil.copytree(offices, folder)
    (folder / "docs").mkdir()
    for page_path in (folder / "past" / MONTHS[-1]).iterdir():
        shutil.copy(page_path, folder / "docs")
    text = (folder / "steelyard.toml").read_text()
    (folder / "steelyard.toml").write_text(text + 'candidates = ["rag-bm25", "closed-book"]\n')
    weighed = Workspace(folder).weigh()
    rate = replayed.update_rate.asked_days
    assert weighed.inputs["updates_per_year_answer"] == pytest.approx(rate, abs=0.06)
    assert weighed.components[0].ageing["hindsight"]["best"] == replayed.hindsight.best
    page = (folder / "report.html").read_text()
    assert page.index("How it would have aged") < page.index("Cost over volume")
    assert f"{rate:.0f} updates a year, as measured by this backtest" in page
    assert all(name in page for name in ("closed-book (never)", "closed-book (quarterly)"))


def test_a_page_that_was_closed_to_the_asker_is_not_answered_from(offices, tmp_path):
    import shutil

    folder = tmp_path / "w"
    shutil.copytree(offices, folder, ignore=shutil.ignore_patterns(".steelyard"))
    for month in MONTHS[1:]:
        for page_path in (folder / "past" / month).iterdir():
            page_path.write_text("---\nallow: [staff]\n---\n" + page_path.read_text())
    found = Workspace(folder).backtest(BacktestPlan(histories={"docs": folder / "past"}))
    right = curve(found, "rag-bm25", "accuracy")
    assert right[0] > 0.6
    assert max(right[1:]) == 0.0


def test_a_bare_repository_is_replayed_and_a_renamed_page_keeps_its_answers(offices, tmp_path):
    import os
    import shutil

    work, bare = tmp_path / "work", tmp_path / "past.git"
    work.mkdir()

    def git(*arguments, day="2025-01-01"):
        stamp = {"GIT_AUTHOR_DATE": f"{day}T00:00:00Z", "GIT_COMMITTER_DATE": f"{day}T00:00:00Z"}
        names = ("-c", "user.name=n", "-c", "user.email=n@example.org")
        subprocess.run(
            ["git", *names, "-C", str(work), *arguments], check=True, capture_output=True, env={**os.environ, **stamp}
        )

    git("init", "-q")
    for month in MONTHS[:5]:
        for page_path in (offices / "past" / month).iterdir():
            shutil.copy(page_path, work)
        if month == MONTHS[2]:
            git("mv", "cairo.md", "egypt.md")
        if month >= MONTHS[2]:
            (work / "cairo.md").unlink(missing_ok=True)
        git("add", "-A")
        git("commit", "-q", "--allow-empty", "-m", "month", day=month)
    subprocess.run(["git", "clone", "-q", "--bare", str(work), str(bare)], check=True)
    folder = tmp_path / "w"
    folder.mkdir()
    for name in ("questions.jsonl", "steelyard.toml"):
        shutil.copy(offices / name, folder)
    # A repository holds what it holds until today; here until its last commit.
    end = datetime.fromisoformat(f"{MONTHS[4]}T00:00:00+00:00")
    plan = BacktestPlan(histories={"docs": bare}, candidates=("rag-bm25", "closed-book"), end=end)
    found = Workspace(folder).backtest(plan)
    assert [f"{step.at:%Y-%m-%d}" for step in found.of("rag-bm25")] == list(MONTHS[:5])
    assert min(curve(found, "rag-bm25", "accuracy")) > 0.6
    assert max(curve(found, "rag-bm25", "stale")) == 0.0
    assert max(curve(found, "closed-book (never)", "stale")) > 0.3
