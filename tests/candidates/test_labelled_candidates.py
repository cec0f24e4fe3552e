"""What every candidate learned from labelled rows promises: the Candidate protocol, on real parts and a small encoder."""

import random
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from steelyard.candidates import CANDIDATES
from steelyard.candidates.interface import Tools
from steelyard.components.linear_head import LinearHead
from steelyard.models.fake import FakeEncoder
from steelyard.schema.errors import ModelError, NotFittedError, UserError
from steelyard.schema.items import Item
from steelyard.schema.outputs import Request
from steelyard.schema.scope import Scope

ROUTERS = ["majority", "tfidf", "knn", "linear", "cascade"]
WRITERS = ["template", "exemplar", "tuned-selector", "tuned-exemplar"]
TOOLS = Tools(encoder=FakeEncoder(), seed=1)
STEMS = {
    "card": "my card is lost and I want the card blocked",
    "fee": "why was this monthly fee taken from the account",
    "login": "I cannot log in to the page with my password",
    "out_of_scope": "weather football pizza holiday music film",
}
WORDS = ["today", "please", "again", "since monday", "thanks", "urgent", "still", "ok", "hello", "sir", "then", "maybe"]


def tickets() -> list[Item]:
    rows = []
    for label, stem in STEMS.items():
        pieces = stem.split()
        for at, word in enumerate(WORDS):
            text = " ".join(pieces[at % 3 :: 1][: 4 + at % 4]) + f" {word}"
            rows.append(Item(id=f"{label}{at}", task="classify", text=text, label=label, row=at))
    return rows


def replies(label: bool) -> list[Item]:
    kinds = {
        "late": ("Where is order {n}?", "Hi {name}, order {order} is late. Sorry!", {"name": "Kim", "order": "A-1"}),
        "thanks": ("Thank you for helping {n}", "Any time, {name}!", {"name": "Ada"}),
        "closed": ("Are you open {n}", "We open at nine.", {}),
    }
    rows = []
    for kind, (message, output, slots) in kinds.items():
        for at, word in enumerate(WORDS):
            text, said = message.replace("{n}", word), f"{output} ({word})"
            rows.append(
                Item(id=f"{kind}{at}", task="write", text=text, output=said, slots=slots, label=kind if label else None)
            )
    return rows


def questions() -> list[Item]:
    facts = {
        "price": ("what does the plan cost", "$5"),
        "hours": ("when do you open", "at nine"),
        "size": ("how large is it", "10 MB"),
    }
    rows = []
    for fact, (question, answer) in facts.items():
        rows += [
            Item(id=f"{fact}{at}", task="answer", text=f"{question} {word}", answers=(answer,))
            for at, word in enumerate(WORDS)
        ]
    rows += [
        Item(id=f"none{at}", task="answer", text=f"who won {word}", answerable=False) for at, word in enumerate(WORDS)
    ]
    return rows


def rows_of(name: str) -> list[Item]:
    if name in ROUTERS:
        return tickets()
    return questions() if name == "closed-book" else replies(label=True)


def cut(rows: list[Item]) -> tuple[list[Item], list[Item], list[Item]]:
    return rows[0::4] + rows[1::4], rows[2::4], rows[3::4]


def fresh(name: str):
    train, validation, holdout = cut(rows_of(name))
    return CANDIDATES.load(name)(TOOLS).fit(train, validation), holdout


fitted = cache(fresh)


def request(item: Item) -> Request:
    return Request(text=item.text, slots=item.slots)


ALL = [*ROUTERS, "closed-book", *WRITERS]


@pytest.mark.parametrize("name", ALL)
def test_predictions_survive_saving_and_loading(name, tmp_path):
    candidate, holdout = fitted(name)
    candidate.save(tmp_path)
    loaded = CANDIDATES.load(name)(TOOLS).load(tmp_path)
    assert candidate.name == name
    for item in holdout:
        before, after = (one.predict(request(item), Scope()) for one in (candidate, loaded))
        assert replace(before, usage=after.usage) == after
        assert after.usage.seconds >= 0
    assert not list(tmp_path.glob("*.pkl"))


@pytest.mark.parametrize("name", ALL)
def test_fitting_twice_gives_the_same_predictions(name):
    (first, holdout), (second, _) = fitted(name), fresh(name)
    for item in holdout[:6]:
        a, b = first.predict(request(item), Scope()), second.predict(request(item), Scope())
        assert (a.text, a.label, a.probability) == (b.text, b.label, b.probability)


@pytest.mark.parametrize("name", ALL)
def test_use_before_fit_fit_on_nothing_and_foreign_artefacts_are_refused(name, tmp_path):
    kind = CANDIDATES.load(name)
    with pytest.raises(NotFittedError):
        kind(TOOLS).predict(Request(text="x"), Scope())
    with pytest.raises(NotFittedError):
        kind(TOOLS).save(tmp_path)
    with pytest.raises(UserError):
        kind(TOOLS).fit([], [])
    candidate, _ = fitted(name)
    candidate.save(tmp_path)
    if name not in ("majority", "tfidf"):
        with pytest.raises(ModelError, match="encoder"):
            kind(Tools(encoder=FakeEncoder(dim=32))).load(tmp_path)
    data = next(tmp_path.glob("arrays-*"))
    data.write_bytes(data.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelError):
        kind(TOOLS).load(tmp_path)


@pytest.mark.parametrize("name", ALL)
def test_odd_messages_get_an_output(name):
    candidate, _ = fitted(name)
    for text in ("", "?", "x" * 5000, "日本語", "\x00"):
        candidate.predict(Request(text=text, slots={"name": "Kim"}), Scope())


@pytest.mark.parametrize("name", ["tfidf", "knn", "linear", "cascade"])
def test_routers_learn_and_decline_what_is_out_of_scope(name):
    candidate, holdout = fitted(name)
    outputs = [candidate.predict(request(item), Scope()) for item in holdout]
    assert sum(out.label == item.label for out, item in zip(outputs, holdout, strict=True)) >= 0.8 * len(holdout)
    for output in outputs:
        assert 0.0 <= output.probability <= 1.0
        assert output.out_of_scope == (output.label == "out_of_scope")
    many = candidate.predict_many([item.text for item in holdout])
    for one, of_many in zip(outputs, many, strict=True):
        # A product of matrices rounds otherwise than one of a row and a matrix.
        assert of_many.probability == pytest.approx(one.probability, rel=1e-9)
        assert replace(one, usage=of_many.usage, probability=of_many.probability) == of_many


def test_linear_beats_the_majority_and_calibration_is_sane():
    majority, holdout = fitted("majority")
    linear, _ = fitted("linear")

    def right(candidate):
        return sum(candidate.predict(request(item), Scope()).label == item.label for item in holdout)

    assert right(linear) > 2 * right(majority)


def coins(seed):
    """Messages of six random words whose label is a coin's: nobody can be righter than one half."""
    words = [f"{a}{b}" for a in ("ba", "ki", "lo", "mu") for b in ("ra", "ne", "ti", "so", "du")]
    draw = random.Random(seed)
    return [
        Item(id=f"c{at}", task="classify", text=" ".join(draw.sample(words, 6)), label=draw.choice(["heads", "tails"]))
        for at in range(200)
    ]


@pytest.mark.parametrize("name", ["tfidf", "knn", "linear", "cascade"])
def test_routers_are_no_surer_than_right_where_twelve_validation_rows_tell_nothing(name):
    surer = []
    for seed in range(4):
        rows = coins(seed)
        router = CANDIDATES.load(name)(TOOLS).fit(rows[:88], rows[88:100])
        said = router.predict_many([item.text for item in rows[100:]])
        surer.append(np.mean([output.probability for output in said]) - 0.5)
    assert max(surer) < 0.12


@pytest.mark.parametrize("name", ["tfidf", "knn", "linear", "cascade"])
def test_rows_held_out_in_turn_change_how_sure_a_router_is_and_nothing_else(name, monkeypatch):
    rows = coins(0)
    texts = [item.text for item in rows[100:]]
    kind = CANDIDATES.load(name)
    told = kind(TOOLS).fit(rows[:88], rows[88:100]).predict_many(texts)
    monkeypatch.setattr(kind, "_temperature_of", lambda *_: 1.0)
    plain = kind(TOOLS).fit(rows[:88], rows[88:100]).predict_many(texts)

    assert [output.label for output in told] == [output.label for output in plain]
    odds = [
        np.log(np.array([o.probability for o in out]) / (1 - np.array([o.probability for o in out])))
        for out in (told, plain)
    ]
    shrunk = odds[0][odds[1] > 1e-6] / odds[1][odds[1] > 1e-6]
    assert len(shrunk) > 50
    assert np.allclose(shrunk, shrunk[0], rtol=1e-4)  # one temperature for all
    assert abs(shrunk[0] - 1) > 0.02


@pytest.mark.parametrize("name", ["tfidf", "knn", "linear", "cascade"])
def test_a_router_without_out_of_scope_rows_never_declines(name):
    rows = [item for item in tickets() if item.label != "out_of_scope"]
    train, validation, _ = cut(rows)
    router = CANDIDATES.load(name)(TOOLS).fit(train, validation)
    assert not router.predict(Request(text="pizza weather"), Scope()).out_of_scope


def test_a_router_fits_without_validation_rows():
    router = CANDIDATES.load("linear")(TOOLS).fit(tickets(), [])
    assert router.predict(Request(text="my card is lost"), Scope()).label == "card"


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("label", [True, False])
def test_writers_keep_every_value_verbatim(name, label):
    train, validation, holdout = cut(replies(label))
    writer = CANDIDATES.load(name)(TOOLS).fit(train, validation)
    for item in holdout:
        slots = {slot: f"<{slot}> {{x}} é" for slot in item.slots}
        output = writer.predict(Request(text=item.text, slots=slots), Scope())
        assert not output.abstained
        assert all(value in output.text for value in slots.values())
        assert output.template in {row.output for row in train + validation}


@pytest.mark.parametrize("name", ["exemplar", "tuned-selector", "tuned-exemplar"])
def test_writers_choose_by_the_message(name):
    rows = [replace(item, slots={}, output=f"{item.label} reply") for item in replies(label=True)]
    train, validation, holdout = cut(rows)
    writer = CANDIDATES.load(name)(TOOLS).fit(train, validation)
    right = [writer.predict(request(item), Scope()).text == item.output for item in holdout]
    assert sum(right) >= 0.8 * len(right)


def test_unusable_slots_fall_back_in_the_trace_or_decline():
    train, validation, _ = cut(replies(label=True))
    writer = CANDIDATES.load("exemplar")(TOOLS).fit(train, validation)
    output = writer.predict(Request(text="Where is order", slots={"name": "Kim", "plan": "Pro"}), Scope())
    assert ("fallback", "no approved reply uses plan as well") in output.trace
    named = [row for row in train if row.slots]
    picky = CANDIDATES.load("exemplar")(TOOLS).fit(named, [])
    declined = picky.predict(Request(text="Where is order", slots={"plan": "Pro"}), Scope())
    assert (declined.abstained, declined.text) == (True, "")
    assert declined.trace == (("declined", "no approved reply fits the slots: plan"),)


def test_closed_book_knows_what_it_was_taught_and_cites_nothing():
    candidate, holdout = fitted("closed-book")
    outputs = [candidate.predict(request(item), Scope()) for item in holdout]
    known = [(item, out) for item, out in zip(holdout, outputs, strict=True) if item.answerable]
    assert sum(out.text == item.answers[0] for item, out in known) >= 0.7 * len(known)
    assert any(out.abstained for item, out in zip(holdout, outputs, strict=True) if not item.answerable)
    assert all(out.citations == () and out.hits == () for out in outputs)


def test_closed_book_chooses_its_settings_once_and_learns_all_rows_with_them(monkeypatch):
    chosen = []
    choose = LinearHead._choose
    monkeypatch.setattr(LinearHead, "_choose", lambda *args: chosen.append(args) or choose(*args))
    rows = questions()
    train, validation = rows[::2], rows[1::2]
    candidate = CANDIDATES.load("closed-book")(TOOLS).fit(train, validation)
    assert len(chosen) == 1
    # The head that chooses and learns again by itself is the same one.
    parts = [
        ([row.text for row in part], TOOLS.encoder.encode([row.text for row in part]), [row.answers[0] for row in part])
        for part in ([row for row in some if row.answerable and row.answers] for some in (train, validation))
    ]
    whole = LinearHead(seed=TOOLS.seed).fit(*parts)
    for row in rows:
        expected = np.exp(whole.log_probabilities([row.text], TOOLS.encoder.encode([row.text])).max())
        assert candidate.predict(Request(text=row.text), Scope()).probability == pytest.approx(expected, rel=1e-12)


def test_closed_book_learns_what_held_last():
    from datetime import UTC, datetime

    switch = datetime(2026, 1, 1, tzinfo=UTC)
    old = [
        replace(item, id=item.id + "o", answers=("$4",), valid_to=switch)
        for item in questions()
        if item.id.startswith("price")
    ]
    new = [replace(item, valid_from=switch) if item.id.startswith("price") else item for item in questions()]
    candidate = CANDIDATES.load("closed-book")(TOOLS).fit([*new, *old], [])
    assert candidate.predict(Request(text="what does the plan cost today"), Scope()).text == "$5"


def test_loading_and_predicting_need_no_training_libraries(tmp_path: Path):
    for name in ("linear", "knn", "exemplar", "closed-book", "tuned-selector", "tuned-exemplar"):
        fitted(name)[0].save(tmp_path / name)
    script = """
import sys
from pathlib import Path
from steelyard.candidates import CANDIDATES
from steelyard.candidates.interface import Tools
from steelyard.models.fake import FakeEncoder
from steelyard.schema.outputs import Request
from steelyard.schema.scope import Scope
for name in ("linear", "knn", "exemplar", "closed-book", "tuned-selector", "tuned-exemplar"):
    candidate = CANDIDATES.load(name)(Tools(encoder=FakeEncoder())).load(Path(sys.argv[1]) / name)
    candidate.predict(Request(text="my card", slots={"name": "Kim"}), Scope())
heavy = {"sklearn", "torch", "scipy", "transformers"} & {name.partition(".")[0] for name in sys.modules}
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, capture_output=True, text=True)
