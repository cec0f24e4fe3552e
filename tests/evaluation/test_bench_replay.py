"""The replay benchmark says how large its history is, and times it whole, taken up again and read again."""

from __future__ import annotations

import os

import pytest
from tiny_history import a_history

from steelyard.evaluation import bench_replay


def test_a_history_that_is_not_there_is_said_to_be_missing(tmp_path):
    row = bench_replay.bench_replay(tmp_path, tmp_path, lambda _done, _total: None)["rows"][0]
    assert row == {"set": bench_replay.REPLAYED, "missing": "the data set is not here"}


def test_commands_get_two_threads_on_at_most_two_cores_and_only_meanwhile(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    with bench_replay._two_cores() as cores:
        assert os.environ["OMP_NUM_THREADS"] == "2"
        if before is not None:
            assert cores == len(os.sched_getaffinity(0)) == min(2, len(before))
    assert os.environ["OMP_NUM_THREADS"] == "1"
    if before is not None:
        assert os.sched_getaffinity(0) == before


@pytest.mark.slow
def test_a_small_history_is_replayed_whole_and_taken_up_again(tmp_path, monkeypatch):
    a_history(tmp_path / "tiny")
    monkeypatch.setattr(bench_replay, "REPLAYED", "tiny")
    monkeypatch.setattr(bench_replay, "CASES", ("whole", "half"))
    told: list[tuple[int, int]] = []
    rows = bench_replay.bench_replay(tmp_path, tmp_path, lambda done, total: told.append((done, total)))["rows"]
    assert [row["case"] for row in rows] == ["whole", "half"]
    sizes = {
        (row["pages_first"], row["pages_last"], row["page_changes"], row["questions"], row["steps"]) for row in rows
    }
    assert sizes == {(44, 44, 22, 44, 3)}  # every second page of 44 changes once
    assert (rows[0]["passages_first"], rows[0]["passages_later"]) == (44, 22)
    assert all(row["seconds"] > 0 for row in rows)
    assert told == sorted(told)
    assert told[-1] == (48, 48)
