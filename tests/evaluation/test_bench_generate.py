from __future__ import annotations

import json
import urllib.request

import pytest

from steelyard.evaluation import bench_generate as bench
from steelyard.evaluation.stream_simulator import MODEL, running_simulator


def test_both_clients_stream_the_same_tokens_from_the_same_server(monkeypatch) -> None:
    monkeypatch.setattr(bench, "STREAMS", 4)
    monkeypatch.setattr(bench, "ROUNDS", 2)
    monkeypatch.setattr(bench, "PIECES", 5)
    monkeypatch.setattr(bench, "PIECE_S", 0.001)
    steps = []

    found = bench.bench_generate(None, None, lambda done, total: steps.append((done, total)))

    plain, ours, added = found["rows"]
    assert (plain["client"], ours["client"]) == ("plain openai client", "steelyard")
    for row in (plain, ours):
        assert row["tokens_per_s"] > 0
        assert 0 < row["first_p50_ms"] <= row["end_p95_ms"]
    assert added["end_p95_ms_low"] <= added["end_p95_ms"] <= added["end_p95_ms_high"]
    assert {row["server"] for row in found["rows"]} == {"simulator"}
    assert steps == [(1, 2), (2, 2)]


def test_a_round_counts_every_stream_once() -> None:
    asked = []

    def client(prompt):
        asked.append(prompt)
        return 10, 0.1, 0.2

    found = bench._round(client)
    assert len(set(asked)) == bench.STREAMS
    assert found["first_p95_ms"] == pytest.approx(100.0)
    assert found["end_p50_ms"] == pytest.approx(200.0)


def test_the_simulator_answers_whole_as_well() -> None:
    with running_simulator(3, 0.0) as url:
        request = urllib.request.Request(f"{url}/chat/completions", data=json.dumps({"messages": []}).encode())
        with urllib.request.urlopen(request, timeout=30) as answer:
            body = json.load(answer)
    assert body["model"] == MODEL
    assert body["choices"][0]["message"]["content"] == " word word word"
    assert body["usage"]["completion_tokens"] == 3
