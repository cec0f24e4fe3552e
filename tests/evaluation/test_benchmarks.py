from __future__ import annotations

import sys

import pytest

from steelyard.evaluation import bench_backtest
from steelyard.evaluation.benchmarks import run_benchmark, wanted_parts
from steelyard.schema.errors import MissingExtraError, NotFoundError, UserError
from steelyard.schema.progress import silent


def test_unknown_benchmark_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(NotFoundError, match="retrieval"):
        run_benchmark("retreival", tmp_path, silent)


def test_planted_truths_need_no_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path))
    monkeypatch.setenv("STEELYARD_SHARED", str(tmp_path / "nowhere"))
    monkeypatch.setattr("steelyard.evaluation.bench_statistics.ITEMS", (40,))
    monkeypatch.setattr("steelyard.evaluation.bench_statistics.TRIALS", 2)
    assert len(run_benchmark("statistics", None, silent)["rows"]) == 1
    with pytest.raises(UserError, match="data sets are not here"):
        run_benchmark("router", None, silent)


def test_missing_peer_names_the_extra_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path))
    # None in sys.modules makes the import fail as if the library were not installed.
    monkeypatch.setitem(sys.modules, "steelyard.evaluation.bench_statistics", None)
    with pytest.raises(ModuleNotFoundError):
        run_benchmark("statistics", tmp_path, silent)
    monkeypatch.undo()
    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path))
    monkeypatch.setattr("steelyard.evaluation.benchmarks._load", _without_peer)
    with pytest.raises(MissingExtraError, match=r"steelyard\[bench,train\]"):
        run_benchmark("statistics", tmp_path, silent)


def _without_peer(_target):
    def bench(_folder, _cache, _progress):
        raise ModuleNotFoundError("No module named 'bm25s'", name="bm25s")

    return bench


def test_parts_are_run_in_their_order_and_all_where_none_is_named(monkeypatch):
    monkeypatch.delenv("STEELYARD_BENCH_SETS", raising=False)
    assert wanted_parts(["one", "two", "three"]) == ["one", "two", "three"]
    monkeypatch.setenv("STEELYARD_BENCH_SETS", "three,one,four")
    assert wanted_parts(["one", "two", "three"]) == ["one", "three"]


def test_only_the_histories_named_are_replayed_and_each_row_says_its_part(tmp_path, monkeypatch):
    monkeypatch.setenv("STEELYARD_BENCH_SETS", "docs_electron")
    (tmp_path / "data" / "docs_electron").mkdir(parents=True)
    asked = []
    monkeypatch.setattr(bench_backtest, "_kept", lambda file, _make: asked.append(file.name) or [{"history": "x"}])
    told: list[tuple[int, int]] = []
    found = bench_backtest.bench_backtest(tmp_path / "data", tmp_path, lambda done, total: told.append((done, total)))
    assert found["rows"] == [{"part": "docs_electron", "history": "x"}]
    assert asked == ["docs_electron.json"]
    assert told == [(24, 24)]
