import json
import sys
from pathlib import Path

import numpy as np
import pytest

from steelyard.evaluation import bench_store, peer_ingests, peer_searches
from steelyard.evaluation.contenders import Contender, in_turn
from steelyard.evaluation.made_corpus import DIM, SCOPES, MadeCorpus

ECHO = """
import json, sys, time
print("a library says hello")
print(json.dumps({"name": sys.argv[1]}), flush=True)
for line in sys.stdin:
    print(json.dumps({"at": time.monotonic(), **json.loads(line)}), flush=True)
"""


def contender(name):
    return Contender(name, [sys.executable, "-c", ECHO, name], threads=1)


def test_contenders_answer_in_turn_and_the_first_one_changes():
    with contender("a") as first, contender("b") as second:
        assert first.ready == {"name": "a"}
        answers = in_turn([first, second], [{"turn": turn} for turn in range(4)])
    assert [answer["turn"] for answer in answers["b"]] == [0, 1, 2, 3]
    begins = ["a" if a["at"] < b["at"] else "b" for a, b in zip(answers["a"], answers["b"], strict=True)]
    assert begins == ["a", "b", "a", "b"]


def test_a_contender_that_ends_says_so():
    with Contender("gone", [sys.executable, "-c", "raise SystemExit(4)"], threads=1) as gone:
        assert gone.missing == "the process ended with code 4"


@pytest.mark.parametrize("module", [peer_searches, peer_ingests])
def test_a_peer_that_is_not_installed_says_how_to_install_it(module, tmp_path):
    (tmp_path / "passages.jsonl").write_text("")
    np.save(tmp_path / "vectors.npy", np.zeros((0, DIM), dtype=np.float32))
    (tmp_path / "questions.json").write_text("{}")
    for name in module.PEERS:
        words = [sys.executable, Path(module.__file__), name, tmp_path, tmp_path / "questions.json"]
        with Contender(name, words, threads=1) as peer:
            assert peer.missing is not None
            assert module.INSTALL[name] in peer.missing


def test_a_smaller_made_corpus_begins_like_a_larger_one():
    small, large = MadeCorpus(30), MadeCorpus(60)
    (own,), (other,) = small.blocks(), large.blocks()
    assert list(own.passages) == list(other.passages)[:30]
    np.testing.assert_array_equal(own.vectors, other.vectors[:30])
    assert all(800 <= len(entry.text) <= 1100 for entry in own.passages)
    np.testing.assert_allclose(np.linalg.norm(own.vectors, axis=1), 1.0, atol=1e-5)


def test_the_askers_see_about_the_shares_that_are_promised():
    (block,) = MadeCorpus(10_000).blocks()
    for share, scope in SCOPES.values():
        seen = sum(entry.access.permits(scope) for entry in block.passages) / len(block.passages)
        assert seen == pytest.approx(share, rel=0.5)


@pytest.mark.slow
def test_the_store_benchmark_measures_what_it_says(tmp_path, monkeypatch):
    monkeypatch.setattr(bench_store, "SIZE", 3000)
    monkeypatch.setattr(bench_store, "QUESTIONS", 40)
    told = []
    rows = bench_store.bench_store(None, tmp_path, lambda done, total: told.append((done, total)))["rows"]
    assert told[-1][0] == told[-1][1]
    opening = next(row for row in rows if "open_s" in row)
    assert opening["disk_mb"] > 5
    missing = {row["contender"]: row["missing"] for row in rows if "missing" in row}
    assert missing.keys() == set(peer_searches.PEERS)
    assert all("--peers" in why and "pip install" in why for why in missing.values())
    searches = [row for row in rows if "sees" in row]
    assert [row["sees"] for row in searches] == list(SCOPES)
    for row in searches:
        assert row["questions"] == 40
        assert 0 < row["p50_ms"] <= row["p99_ms"]
        assert (row["recall_at_10"], row["recall_at_50"]) == (1.0, 1.0)
    assert searches[-1]["fewest_hits"] == 10
    folder = next(tmp_path.glob("store-3000-*"))
    before = (folder / "questions.json").stat().st_mtime_ns
    bench_store.bench_store(None, tmp_path, lambda *_: None)
    assert (folder / "questions.json").stat().st_mtime_ns == before
    assert json.loads((folder / "made.json").read_text()).keys() == {"stage_s", "optimize_s"}
