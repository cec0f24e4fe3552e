"""Histories from git, dated folders and change logs become the same dated changes, and a replay goes through them."""

from __future__ import annotations

import gzip
import json
import subprocess
from datetime import UTC, datetime

import pytest
from corpus_bench import git
from hypothesis import given, settings
from hypothesis import strategies as st

from shared_data import shared_data
from steelyard.corpus.past import read_past
from steelyard.corpus.replay import Replay, moments
from steelyard.schema.errors import DataError, NotFoundError


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


STATES = {
    "2025-01-01": {
        "a.md": "# A\n\nold limit 10",
        "b.md": "# B\n\nsame words that stay as they are, long enough to be known",
    },
    "2025-02-01": {
        "a.md": "# A\n\nnew limit 20",
        "c.md": "# B\n\nsame words that stay as they are, long enough to be known",
    },
    "2025-03-01": {"c.md": "# B\n\nsame words that stay as they are, long enough to be known", "d.md": "late"},
}


def as_git(root, *, bare=False):
    repo = root / "repo"
    (repo / "docs").mkdir(parents=True)
    git(repo, "init", "-q")
    for date, files in STATES.items():
        for old in (repo / "docs").iterdir():
            old.unlink()
        for name, text in files.items():
            (repo / "docs" / name).write_text(text)
        git(repo, "add", "-A")
        git(repo, "commit", "-q", "-m", date, date=f"{date}T00:00:00+00:00")
    if not bare:
        return repo / "docs", ""
    subprocess.run(["git", "clone", "-q", "--bare", str(repo), str(root / "bare.git")], check=True)
    return root / "bare.git", "docs"


def as_folders(root):
    for date, files in STATES.items():
        for name, text in files.items():
            path = root / "dated" / date / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return root / "dated", ""


def as_log(root, *, packed=False):
    rows, before = [], {}
    for date, files in STATES.items():
        for name, text in files.items():
            moved = next((old for old, its in before.items() if its == text and old not in files), None)
            if moved:
                rows.append({"date": date, "op": "rename", "path": name, "from": moved, "text": text})
            elif before.get(name) != text:
                rows.append({"date": date, "op": "modify" if name in before else "add", "path": name, "text": text})
        moved_away = {row.get("from") for row in rows}
        rows += [
            {"date": date, "op": "delete", "path": name, "text": None}
            for name in before
            if name not in files and name not in moved_away
        ]
        before = files
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path = root / ("log.jsonl.gz" if packed else "log.jsonl")
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    return path, ""


KEPT_BY = {
    "git": as_git,
    "bare git": lambda root: as_git(root, bare=True),
    "dated folders": as_folders,
    "log": as_log,
    "packed log": lambda root: as_log(root, packed=True),
}


@pytest.mark.parametrize("kind", KEPT_BY)
def test_every_kind_of_history_replays_to_the_same_folders(tmp_path, kind):
    where, inside = KEPT_BY[kind](tmp_path)
    replay = Replay(read_past(where, inside), tmp_path / "tree")
    for date, files in STATES.items():
        replay.advance(day(date))
        assert {path.name: path.read_text() for path in (tmp_path / "tree").iterdir()} == files


@pytest.mark.parametrize("kind", KEPT_BY)
def test_a_rename_is_one_move_and_an_edit_one_change(tmp_path, kind):
    where, inside = KEPT_BY[kind](tmp_path)
    replay = Replay(read_past(where, inside), tmp_path / "tree")
    first, second, third = (replay.advance(day(date)) for date in STATES)
    assert (first.added, first.changed, first.deleted, first.renamed) == (("a.md", "b.md"), (), (), ())
    assert (second.added, second.changed, second.deleted) == ((), ("a.md",), ())
    assert second.renamed == (("b.md", "c.md"),)
    assert (third.added, third.changed, third.deleted, third.renamed) == (("d.md",), (), ("a.md",), ())


def test_a_step_can_jump_over_changes(tmp_path):
    where, _ = as_log(tmp_path)
    replay = Replay(read_past(where), tmp_path / "tree")
    replay.advance(day("2025-01-01"))
    step = replay.advance(day("2025-06-01"))
    assert {path.name for path in (tmp_path / "tree").iterdir()} == {"c.md", "d.md"}
    assert (step.added, step.deleted, step.renamed) == (("d.md",), ("a.md",), (("b.md", "c.md"),))


def test_a_replay_cut_short_goes_on_in_a_folder_that_holds_anything(tmp_path):
    where, _ = as_log(tmp_path)
    Replay(read_past(where), tmp_path / "tree").advance(day("2025-01-01"))
    (tmp_path / "tree" / "half").write_text("left by a crash")
    Replay(read_past(where), tmp_path / "tree").advance(day("2025-02-01"))
    assert {path.name: path.read_text() for path in (tmp_path / "tree").iterdir()} == STATES["2025-02-01"]


def test_files_carry_the_moment_of_their_change(tmp_path):
    where, _ = as_log(tmp_path)
    replay = Replay(read_past(where), tmp_path / "tree")
    replay.advance(day("2025-03-01"))
    assert (tmp_path / "tree" / "c.md").stat().st_mtime == day("2025-02-01").timestamp()


def test_a_document_renamed_to_no_document_is_deleted(tmp_path):
    log = tmp_path / "log.jsonl"
    rows = [
        {"date": "2025-01-01", "op": "add", "path": "a.md", "text": "x"},
        {"date": "2025-02-01", "op": "rename", "path": "a.bak", "from": "a.md", "text": "x"},
    ]
    log.write_text("\n".join(map(json.dumps, rows)))
    assert set(read_past(log).state(day("2025-02-01"))) == set()


def test_every_wrong_row_of_a_change_log_is_named(tmp_path):
    log = tmp_path / "log.jsonl"
    rows = [
        '{"date": "2025-01-01", "op": "add", "path": "a.md", "text": "fine"}',
        '{"date": "soon", "op": "add", "path": "a.md", "text": "x"}',
        "not json",
        '{"date": "2025-01-01", "op": "burn", "path": "../../etc/passwd", "text": "x"}',
        '{"date": "2025-01-01", "op": "modify", "path": "a.md"}',
    ]
    log.write_text("\n".join(rows))
    with pytest.raises(DataError) as caught:
        read_past(log)
    places = [(finding.row, finding.field) for finding in caught.value.findings]
    assert places == [(2, "date"), (3, None), (4, "op"), (4, "path"), (5, "text")]


def test_what_keeps_no_history_says_what_would(tmp_path):
    (tmp_path / "plain").mkdir()
    with pytest.raises(NotFoundError, match="keeps no history"):
        read_past(tmp_path / "plain")
    with pytest.raises(NotFoundError, match="there is nothing"):
        read_past(tmp_path / "absent")


@pytest.mark.parametrize(
    ("every", "count"), [("day", 31 + 28 + 1), ("week", 9), ("month", 3), ("quarter", 1), ("year", 1)]
)
def test_steps_begin_at_the_begin_and_stay_inside(every, count):
    found = moments(day("2025-01-01"), day("2025-03-01"), every)
    assert len(found) == count
    assert found[0] == day("2025-01-01")
    assert found == sorted(set(found))
    assert found[-1] <= day("2025-03-01")


NAMES = st.sampled_from(["a.md", "b.md", "sub/c.md"])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(NAMES, st.none() | st.sampled_from(["one", "two"])), min_size=1, max_size=12))
def test_stepping_equals_looking_at_once(tmp_path_factory, edits):
    folder = tmp_path_factory.mktemp("log")
    rows, there = [], set()
    for number, (name, text) in enumerate(edits):
        date = f"2025-01-{number + 1:02d}"
        if text is None and name in there:
            there.discard(name)
            rows.append({"date": date, "op": "delete", "path": name, "text": None})
        elif text is not None:
            rows.append({"date": date, "op": "modify" if name in there else "add", "path": name, "text": text})
            there.add(name)
    (folder / "log.jsonl").write_text("\n".join(map(json.dumps, rows)))
    past = read_past(folder / "log.jsonl")
    state = {}
    for number in range(1, len(edits) + 1):
        at = day(f"2025-01-{number:02d}")
        state = past.state(at, state)
        assert state == past.state(at)
    assert set(state) == there


def test_a_real_change_log_replays_to_the_counts_it_states(tmp_path):
    folder = shared_data("docs_endoflife")
    past = read_past(folder / "changes.jsonl.gz")
    stated = [json.loads(line) for line in gzip.decompress((folder / "snapshots.jsonl.gz").read_bytes()).splitlines()]
    state = {}
    for row in stated:
        state = past.state(day(row["date"]), state)
        assert len(state) == row["files"], row["date"]
