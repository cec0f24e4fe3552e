import gzip
import json

import pytest

from steelyard.candidates.interface import Tools
from steelyard.dataset.places import places_of
from steelyard.evaluation.bench_writer import WRITERS, Size, bench_writer, cut, measure_set
from steelyard.evaluation.writer_sets import bitext_rows, sgd_rows
from steelyard.models.fake import FakeEncoder


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as out:
        out.writelines(json.dumps(row) + "\n" for row in rows)


def support(count):
    kinds = {
        "cancel": "I'm sorry to hear that! Please ring {{Customer Support Phone Number}}.",
        "thanks": "You're welcome, always!",
    }
    return [
        {
            "id": f"{kind}-{at}",
            "split": "test" if at % 3 == 0 else "train",
            "instruction": f"{kind} it please number {at}",
            "response": f"{said} We're happy to help with case {'ABCDEFGHIJKLMNOPQRSTUVWXYZ'[at]}.",
            "intent": kind,
        }
        for kind, said in kinds.items()
        for at in range(count)
    ]


def act(kind, slot, *values):
    return {"act": kind, "slot": slot, "values": list(values)}


def test_placeholders_become_slots_and_buttons_stay_text(tmp_path):
    reply = "Log in to {{Website Name}}, press {{Cancel Order}} for order 123456789.\r\nBye!"
    row = {"id": "a", "split": "test", "instruction": "cancel", "response": reply, "intent": "x"}
    write(tmp_path / "bitext_support.jsonl.gz", [row, row | {"id": "b"}])
    train, test = bitext_rows(tmp_path)
    assert train == []
    assert [item.output for item in test] == ["Log in to {website}, press Cancel Order for order {number}.\nBye!"]
    assert set(test[0].slots) == {"website", "number"}


def test_values_of_acts_leave_the_sentence_or_the_row_is_left_out(tmp_path):
    acts = [act("OFFER", "city", "Rome", "Oslo"), act("INFORM_COUNT", "count", "7")]
    told = {"id": "1_2-3", "service": "s", "user": "Where?", "acts": acts, "response": "7 places: Rome and Oslo."}
    twice = told | {"id": "1_2-5", "response": "7 places: Rome, Rome and Oslo."}
    missing = told | {"id": "1_2-7", "response": "7 places: Rome."}
    for part in ("train", "test"):
        write(tmp_path / f"{part}.jsonl.gz", [told, twice, missing])
    (item,), _ = sgd_rows(tmp_path)
    assert item.output == "{count} places: {city} and {city_2}."
    assert item.slots == {"city": "Rome", "city_2": "Oslo", "count": "7"}
    assert item.text == "offer city; inform_count count\nWhere?"
    assert item.group == "1_2"


def test_no_row_is_in_two_parts_and_no_test_reply_was_read(tmp_path):
    write(tmp_path / "bitext_support.jsonl.gz", support(20))
    train, test = bitext_rows(tmp_path)
    data = cut("bitext_support", train, [*test, train[0]], Size(train=8, validation=4, voice=6, test=9, tuning_s=1))
    parts = [{item.id for item in part} for part in (data.train, data.validation, data.voice, data.test)]
    assert [len(part) for part in parts] == [8, 4, 6, 9]
    assert len(set.union(*parts)) == sum(map(len, parts))


def test_sets_that_are_not_there_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr("steelyard.evaluation.bench_writer.load_minilm", lambda **_: FakeEncoder(32))
    found = bench_writer(tmp_path, tmp_path, lambda done, total: None)
    assert [row["missing"] for row in found["rows"]] == [
        f"no folder {name} in the data folder" for name in ("bitext_support", "sgd_nlg")
    ]


@pytest.mark.slow
def test_every_writer_is_measured_on_the_same_rows(tmp_path):
    pytest.importorskip("torch")
    write(tmp_path / "bitext_support.jsonl.gz", support(26))
    train, test = bitext_rows(tmp_path)
    data = cut("bitext_support", train, test, Size(train=18, validation=6, voice=8, test=12, tuning_s=10))
    rows, samples = measure_set(data, Tools(encoder=FakeEncoder(32), budget_s=10.0), lambda done, total: None)
    assert [row["writer"] for row in rows] == list(WRITERS)
    assert {row["test"] for row in rows} == {12}
    tuned = rows[-1]
    assert tuned["slots_once"] == tuned["slot_fidelity"][0] == tuned["format_valid"][0] == 1.0
    assert tuned["style_verdict"] in ("better", "worse", "no_difference")
    assert tuned["training_steps"] > 0
    assert "style_less_exemplar" not in rows[1]
    for sample in samples:
        assert sorted(set(places_of(sample["tuned-writer"]))) == sample["slots"]
