from __future__ import annotations

import sys

import pytest

from steelyard.evaluation.benchmarks import run_benchmark
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
