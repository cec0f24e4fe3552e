import pytest

from shared_data import shared_data
from steelyard.evaluation import bench_ingest

pytestmark = pytest.mark.slow


def test_the_ingest_benchmark_measures_what_it_says(tmp_path, monkeypatch):
    data = shared_data("postgresql15_docs").parent
    monkeypatch.setenv(bench_ingest.EVERY_VARIABLE, "300")
    monkeypatch.setattr(bench_ingest, "FILES", (40,))
    monkeypatch.setattr(bench_ingest, "CORES", (1, 2))
    monkeypatch.setattr(bench_ingest, "usable_cores", lambda: 2)
    monkeypatch.setattr(bench_ingest, "ROUNDS", 1)
    monkeypatch.setattr(bench_ingest, "QUESTIONS", 5)
    rows = bench_ingest.bench_ingest(data, tmp_path, lambda *_: None)["rows"]
    own = next(row for row in rows if row["contender"] == "steelyard" and row["threads"] == 1)
    assert own["passages"] > 10
    assert own["core_s"] > 0
    assert own["ours_times"] == 1.0
    assert {row["contender"] for row in rows if "missing" in row} == {"llamaindex", "haystack"}
    assert next(row for row in rows if "times_one_thread" in row)["passages"] == own["passages"]
    asked = [row for row in rows if "p50_ms" in row]
    assert [row["questions"] for row in asked] == [5, 5]
    assert all(row["work_p50_ms"] > 0 for row in asked)
    memory = next(row for row in rows if "files" in row)
    assert memory["files"] == 40
    assert memory["passages"] >= 120
    assert memory["parent_mb"] > 10
    assert memory["edited_mb"] > 10
