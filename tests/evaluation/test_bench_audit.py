"""The audit benchmark counts what is on the disk, not what was asked for."""

from __future__ import annotations

from steelyard.evaluation.benchmarks import run_benchmark
from steelyard.schema.progress import silent


def test_every_acknowledged_record_is_kept_in_every_way(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path))
    monkeypatch.setenv("STEELYARD_BENCH_SECONDS", "0.3")
    monkeypatch.setattr("steelyard.evaluation.bench_audit.THREADS", (4,))
    monkeypatch.setattr("steelyard.evaluation.bench_audit.ROUNDS", 1)
    rows = run_benchmark("audit", None, silent)["rows"]
    assert [row["way"] for row in rows] == ["shared commits", "one commit a record", "one synced line a record"]
    assert all(row["records_per_s"] > 0 and row["lost"] == 0 and row["whole"] for row in rows)
