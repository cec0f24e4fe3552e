"""The router benchmark on a small copy of its data sets, with the small encoder."""

import gzip
import json
from pathlib import Path

import pytest

from steelyard.evaluation import bench_router as bench
from steelyard.models.fake import FakeEncoder
from steelyard.schema.errors import NotFoundError

INTENTS = {
    "card": "my card is lost and I want it blocked",
    "fee": "why was this monthly fee taken from the account",
    "login": "I cannot log in with my password on the page",
}
NOISE = [f"{a}{b}" for a in ("ba", "de", "fi", "go", "lu", "mo") for b in ("rin", "sel", "tav", "kon", "pum", "zid")]


def write(path: Path, count: int, oos: int, start: int) -> None:
    path.parent.mkdir(exist_ok=True)
    rows = []
    for intent, stem in INTENTS.items():
        words = stem.split()
        for at in range(count):
            text = " ".join([*words[at % 4 : at % 4 + 5], NOISE[(at + start) % 36], NOISE[(at * 7 + start) % 36]])
            rows.append({"id": f"{intent}{at}", "text": text, "intent": intent})
    rows += [
        {"id": f"o{at}", "text": f"weather {NOISE[at]} pizza {NOISE[-at]}", "intent": "oos", "oos": True}
        for at in range(oos)
    ]
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write(tmp_path / "banking77" / "train.jsonl.gz", 30, 0, 0)
    write(tmp_path / "banking77" / "test.jsonl.gz", 10, 0, 5)
    for part, count, oos in (("train", 24, 8), ("val", 10, 8), ("test", 10, 12)):
        write(tmp_path / "clinc150" / f"{part}.jsonl.gz", count, oos, count)
    monkeypatch.setattr(bench, "load_encoder", lambda name: FakeEncoder())
    return tmp_path


@pytest.mark.slow
def test_bench_reports_every_router_beside_scikit_learn_with_intervals(data, tmp_path):
    steps = []
    result = bench.bench_router(data, tmp_path / "cache", lambda done, total: steps.append((done, total)))
    accuracy = {
        (row["dataset"], row["setting"], row["candidate"]): row for row in result["rows"] if row["metric"] == "accuracy"
    }
    names = ["linear", "knn", "cascade", "tfidf", bench.PIPELINE]
    places = (("banking77", "full"), ("banking77", "10-shot"), ("clinc150", "full"))
    assert list(accuracy) == [(*place, name) for place in places for name in names]
    assert all(row["low"] <= row["mean"] <= row["high"] for row in accuracy.values())
    assert len(accuracy["banking77", "10-shot", "linear"]["draws"]) == bench.DRAWS
    targets = {
        (row["dataset"], row["setting"], row["metric"]): row["target"] for row in result["rows"] if "target" in row
    }
    assert targets == bench.TARGETS
    assert {row["candidate"] for row in result["rows"] if row["metric"] == "p95_ms"} == set(names[:4])
    assert steps[-1] == (4, 4)
    assert json.loads(json.dumps(result)) == result


def test_few_of_each_draws_the_same_rows_for_a_seed(data):
    items = bench.read_intents(data / "banking77" / "train.jsonl.gz")
    first = bench.few_of_each(items, 5, 1)
    assert [item.label for item in first].count("card") == 5
    assert first == bench.few_of_each(items, 5, 1)
    assert first != bench.few_of_each(items, 5, 2)


def test_a_missing_data_set_is_named(tmp_path):
    with pytest.raises(NotFoundError, match="banking77"):
        bench.read_intents(tmp_path / "banking77" / "train.jsonl.gz")
