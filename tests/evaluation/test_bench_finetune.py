"""The benchmark of tuned routers on small copies of its data sets: parts, the choice on validation rows, runs that are kept."""

import gzip
import json

import pytest

from steelyard.candidates.classify_router import LinearRouter, Router
from steelyard.evaluation import bench_finetune as bench
from steelyard.models.fake import FakeEncoder
from steelyard.schema.errors import UserError

STEMS = {
    "card": "my card is lost and must be blocked",
    "fee": "why was this fee taken",
    "login": "I cannot log in here",
}


def write(path, count, outside, start, bots=()):
    path.parent.mkdir(exist_ok=True)
    texts = [
        (f"{stem} {chr(97 + (at + start) % 26)}{(at + start) * 7 % 31}", intent)
        for intent, stem in STEMS.items()
        for at in range(count)
    ]
    texts += [(f"pizza weather {chr(97 + at % 26)} {start + at}", "oos") for at in range(outside)]
    rows = [
        {"id": f"{path.name}{bot}{at}", "text": text, "intent": intent, "bot": bot}
        for bot in bots or ("",)
        for at, (text, intent) in enumerate(texts)
    ]
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def data(tmp_path, monkeypatch):
    write(tmp_path / "banking77" / "train.jsonl.gz", 30, 0, 0)
    write(tmp_path / "banking77" / "test.jsonl.gz", 20, 0, 40)
    for part, count, outside, start in (("train", 24, 8, 0), ("val", 10, 8, 40), ("test", 12, 12, 60)):
        write(tmp_path / "clinc150" / f"{part}.jsonl.gz", count, outside, start)
    for part, start in (("train", 0), ("test", 40)):
        write(tmp_path / "hint3" / f"{part}.jsonl.gz", 20, 6, start, bots=("mats", "play"))
    monkeypatch.setattr(bench, "load_encoder", lambda name, **_: FakeEncoder())
    monkeypatch.setenv(bench.ROUTERS_VARIABLE, "linear,cascade")
    return tmp_path


def run(data, tmp_path):
    return bench.bench_finetune(data, tmp_path / "cache", lambda done, total: None)["rows"]


def test_each_part_reports_each_router_and_the_one_that_validation_rows_choose(data, tmp_path):
    rows = run(data, tmp_path)
    accuracy = [(row["part"], row["dataset"], row["candidate"]) for row in rows if row["metric"] == "accuracy"]
    places = [("few", "banking77"), ("banking77", "banking77"), ("clinc150", "clinc150")]
    places += [("hint3", "hint3 mats"), ("hint3", "hint3 play")]
    assert accuracy == [(*place, name) for place in places for name in ("linear", "cascade", bench.CHOSEN)]
    judged = {(row["dataset"], row["setting"], row["metric"]) for row in rows if "target" in row}
    assert judged == set(bench.TARGETS)
    assert all(row["candidate"] == bench.CHOSEN for row in rows if "target" in row)
    inside = [row for row in rows if row["metric"] == "in_scope_calibration_error"]
    assert {row["dataset"] for row in inside} == {"clinc150", "hint3 mats", "hint3 play"}
    assert all(0 <= row["expected"] <= 1 and 0 < row["p_value"] <= 1 for row in inside)


def test_the_choice_is_the_router_with_the_lowest_validation_loss(data, tmp_path, monkeypatch):
    monkeypatch.setenv(bench.PARTS_VARIABLE, "banking77")

    def learned(self, train, held):
        votes = original(self, train, held)
        votes.log_probabilities[:] = -9.0  # whatever it says, it believes in nothing
        return votes

    original = LinearRouter._learn
    monkeypatch.setattr(LinearRouter, "_learn", learned)
    rows = run(data, tmp_path)
    assert [row["notes"] for row in rows if row["candidate"] == bench.CHOSEN and "notes" in row] == [
        {"router": "cascade"}
    ]


def test_a_run_that_was_cut_off_fits_nothing_twice(data, tmp_path, monkeypatch):
    monkeypatch.setenv(bench.PARTS_VARIABLE, "few,clinc150")
    first = run(data, tmp_path)

    def fit(self, train, held):
        raise AssertionError("fitted again")

    monkeypatch.setattr(Router, "fit", fit)
    assert run(data, tmp_path) == first
    monkeypatch.setenv(bench.SECONDS_VARIABLE, "5")
    with pytest.raises(AssertionError, match="fitted again"):
        run(data, tmp_path)


def test_a_training_that_was_cut_off_finds_its_checkpoint_again_and_leaves_none_behind(data, tmp_path, monkeypatch):
    monkeypatch.setenv(bench.PARTS_VARIABLE, "banking77")
    monkeypatch.setenv(bench.ROUTERS_VARIABLE, "linear")
    folders = []
    fit = LinearRouter.fit

    def interrupted(router, train, held):
        folder = router._tools.work
        folders.append(folder)
        if len(folders) == 1:
            folder.mkdir(parents=True)
            (folder / "checkpoint").touch()
            raise KeyboardInterrupt
        assert (folder / "checkpoint").is_file()
        return fit(router, train, held)

    monkeypatch.setattr(LinearRouter, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(data, tmp_path)
    run(data, tmp_path)

    assert folders[0] == folders[1]
    assert not folders[0].exists()


def test_a_part_that_does_not_exist_is_named_with_those_that_do(data, tmp_path, monkeypatch):
    monkeypatch.setenv(bench.PARTS_VARIABLE, "fewer")
    with pytest.raises(UserError, match="knows no 'fewer'") as caught:
        run(data, tmp_path)
    assert "few, banking77" in caught.value.remedy
