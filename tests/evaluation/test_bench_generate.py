from __future__ import annotations

import json
import urllib.request
from contextlib import contextmanager

import numpy as np
import pytest

from steelyard.evaluation import bench_generate as bench
from steelyard.evaluation.stream_simulator import MODEL, running_simulator
from steelyard.schema.errors import MissingExtraError


def test_both_clients_stream_the_same_tokens_from_the_same_servers(monkeypatch, tmp_path) -> None:
    @contextmanager
    def another(cache):
        with running_simulator(3, 0.001) as url:
            yield "another", url, MODEL

    for name, value in {
        "STREAMS": 4,
        "ROUNDS": 2,
        "PIECES": 5,
        "PIECE_S": 0.001,
        "MODEL_ROUNDS": 1,
        "DRAWS": 20,
    }.items():
        monkeypatch.setattr(bench, name, value)
    monkeypatch.setattr(bench, "_model_server", another)
    steps = []

    found = bench.bench_generate(None, tmp_path, lambda done, total: steps.append((done, total)))

    paced, model = found["rows"][:3], found["rows"][3:]
    for rows, server in ((paced, bench.PACED), (model, "another")):
        plain, ours, added = rows
        assert (plain["client"], ours["client"]) == (bench.PLAIN, bench.OURS)
        assert {row["server"] for row in rows} == {server}
        for row in (plain, ours):
            assert row["tokens_per_s"] > 0
            assert 0 < row["first_p50_ms"] <= row["end_p95_ms"]
        assert added["end_p95_ms"] == pytest.approx(ours["end_p95_ms"] - plain["end_p95_ms"], abs=0.011)
        assert added["tokens_per_s_ratio"] == pytest.approx(ours["tokens_per_s"] / plain["tokens_per_s"], rel=0.01)
    assert steps == [(1, 3), (2, 3), (3, 3), (3, 3)]


def test_without_a_server_for_a_model_the_paced_figures_stand_alone(monkeypatch, tmp_path) -> None:
    @contextmanager
    def missing(cache):
        raise MissingExtraError("`transformers serve` is not installed.")
        yield

    for name, value in {"STREAMS": 2, "ROUNDS": 1, "PIECES": 2, "PIECE_S": 0.001, "DRAWS": 20}.items():
        monkeypatch.setattr(bench, name, value)
    monkeypatch.setattr(bench, "_model_server", missing)
    *paced, note = bench.bench_generate(None, tmp_path, lambda done, total: None)["rows"]
    assert len(paced) == 3
    assert note["note"] == "`transformers serve` is not installed."


def test_a_round_counts_every_stream_once() -> None:
    asked = []

    def client(prompt):
        asked.append(prompt)
        return 10, 0.1, 0.2

    found = bench._round(client, 50)
    assert len(set(asked)) == 50
    assert found.tokens == 500
    assert found.first_ms == pytest.approx(np.full(50, 100.0))
    assert found.end_ms == pytest.approx(np.full(50, 200.0))


def test_what_is_added_is_the_difference_of_the_percentiles_over_all_streams() -> None:
    def rounds(shift):
        return [
            bench.Round(
                tokens=100,
                wall_s=1.0,
                cpu_s=0.1 + shift,
                first_ms=np.arange(100.0) + shift,
                end_ms=np.arange(100.0) + 2 * shift,
            )
            for _ in range(5)
        ]

    added = bench._added(rounds(0.0), rounds(7.0), "s", 100)
    assert (added["first_p95_ms"], added["first_p95_ms_low"], added["first_p95_ms_high"]) == (7.0, 7.0, 7.0)
    assert added["end_p50_ms"] == 14.0
    assert added["end_p95_of_a_round_ms"] == 14.0
    assert added["cpu_ms_per_stream"] == 70.0  # 7 s in 100 streams
    assert added["tokens_per_s_ratio"] == 1.0


def test_the_simulator_answers_whole_as_well() -> None:
    with running_simulator(3, 0.0) as url:
        request = urllib.request.Request(f"{url}/chat/completions", data=json.dumps({"messages": []}).encode())
        with urllib.request.urlopen(request, timeout=30) as answer:
            body = json.load(answer)
    assert body["model"] == MODEL
    assert body["choices"][0]["message"]["content"] == " word word word"
    assert body["usage"]["completion_tokens"] == 3
