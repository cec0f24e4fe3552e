"""Candidates that tune an adapter: a real tiny model and the real PEFT for the cycle, a simulated speaker for what the checks do."""

import pytest

from candidates.test_answer_rag import corpus, questions
from candidates.test_labelled_candidates import cut, replies
from models.tiny_base import make_tiny_base
from models.tiny_lora import THINGS
from steelyard.candidates import speaking
from steelyard.candidates.answer_spoken import LoraClosedBook, LoraRaft, claims_of
from steelyard.candidates.interface import Tools
from steelyard.candidates.speaking import UNKNOWN, Said
from steelyard.candidates.write_spoken import LoraWriter
from steelyard.components.grounding import Claim
from steelyard.components.retriever import Retriever
from steelyard.metrics.answers import contains_answer
from steelyard.models.fake import FakeEncoder
from steelyard.models.lora_fitting import LORA_PLAN
from steelyard.schema.errors import CannotBuildError, ModelError, NotFittedError, UserError
from steelyard.schema.items import Item
from steelyard.schema.outputs import Request
from steelyard.schema.scope import Scope
from steelyard.stores.interface import Staged
from steelyard.stores.memory import MemoryStore

pytest.importorskip("torch")
pytest.importorskip("peft")

ALL = (LoraClosedBook, LoraRaft, LoraWriter)


class SimulatedSpeaker:
    """Stands for a tuned model: a test scripts what it says. It is no model and learns nothing; what it was taught is in `taught`."""

    def __init__(self, script):
        self.training = {}
        self._script = script

    def learn(self, train, held):
        self.taught = [*train]

    def say(self, prompts, max_tokens):
        return [
            one if isinstance(one, Said) else Said(text=one, log_probability=-0.1) for one in map(self._script, prompts)
        ]


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEELYARD_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def codes(offset):
    return [
        Item(id=thing, task="answer", text=f"Which code has the {thing} ?", answers=(f"code {(at + offset) % 10}",))
        for at, thing in enumerate(THINGS)
    ]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Knows other codes than those that are taught, in the prompt of the candidate."""
    pairs = LoraClosedBook(Tools(encoder=FakeEncoder()))._pairs(codes(3), 0)
    return make_tiny_base(tmp_path_factory.mktemp("base"), pairs)


def tools(base_model=None, **more):
    encoder = FakeEncoder(256)
    store = MemoryStore()
    passages = corpus()
    store.stage(1, Staged(passages, encoder.encode([entry.search_text for entry in passages])), [])
    return Tools(encoder=encoder, search=Retriever(store, encoder, 1), base_model=base_model, **more)


def rows_of(kind):
    if kind is LoraWriter:
        return cut(replies(label=True))[:2]
    rows = questions() if kind is LoraRaft else codes(0)
    return rows[0::2], rows[1::2]


def test_closed_book_answers_what_its_adapter_was_taught(base, monkeypatch, tmp_path):
    monkeypatch.setattr(
        "steelyard.models.lora_fitting.LORA_PLAN",
        LORA_PLAN.__class__(**{**vars(LORA_PLAN), "learning_rate": 0.01, "batch": 6, "patience": 99, "threads": 1}),
    )
    rows = codes(0)
    candidate = LoraClosedBook(tools(base, work=tmp_path / "work")).fit(rows, rows)
    outputs = [candidate.predict(Request(text=item.text), Scope()) for item in rows]
    right = [one.text == item.answers[0] for one, item in zip(outputs, rows, strict=True)]
    assert sum(right) >= len(rows) - 2  # the base knows none of them; what is left is declined
    assert all(well or one.abstained for well, one in zip(right, outputs, strict=True))
    assert all(one.citations == () and one.usage.tokens_in > 10 and one.usage.tokens_out > 1 for one in outputs)
    assert candidate.training["validation_loss"] < candidate.training["loss_before"]
    candidate.save(tmp_path / "kept")
    loaded = LoraClosedBook(tools(base)).load(tmp_path / "kept")
    again = [loaded.predict(Request(text=item.text), Scope()) for item in rows]
    assert [(one.text, one.probability) for one in again] == [(one.text, one.probability) for one in outputs]


@pytest.mark.parametrize("kind", [LoraRaft, LoraWriter])
def test_what_is_loaded_says_what_was_fitted(kind, base, monkeypatch, tmp_path):
    monkeypatch.setattr(speaking, "LEAST_STEPS", 2)
    monkeypatch.setattr("steelyard.models.lora_fitting.LORA_PLAN", LORA_PLAN.__class__(epochs=1, batch=4, threads=1))
    monkeypatch.setattr("steelyard.candidates.answer_spoken.ANSWER_TOKENS", 12)
    monkeypatch.setattr("steelyard.candidates.write_spoken.REPLY_TOKENS", 12)
    train, held = rows_of(kind)
    candidate = kind(tools(base)).fit(train[:8], held[:3])
    candidate.save(tmp_path)
    loaded = kind(tools(base)).load(tmp_path)
    for item in held[:3]:
        request = Request(text=item.text, slots=item.slots)
        one, other = candidate.predict(request, Scope()), loaded.predict(request, Scope())
        assert (one.text, one.trace, one.citations) == (other.text, other.trace, other.citations)
    with pytest.raises(ModelError) as caught:
        LoraClosedBook(tools(base)).load(tmp_path)
    assert caught.value.code == "candidate.other_artefact"


@pytest.mark.parametrize("kind", ALL)
def test_it_says_what_is_missing(kind):
    train, held = rows_of(kind)
    with pytest.raises(CannotBuildError) as caught:
        kind(tools()).fit(train, held)
    assert caught.value.code == "candidate.no_base_model"
    with pytest.raises(NotFittedError):
        kind(tools()).predict(Request(text="?"), Scope())


def test_too_few_rows_are_an_error(base):
    with pytest.raises(UserError) as caught:
        LoraClosedBook(tools(base)).fit(codes(0)[:3], ())
    assert caught.value.code == "candidate.no_rows"


def raft(script=None):
    """A fitted candidate whose model declined while it was calibrated, and now answers by `script`."""
    train, held = rows_of(LoraRaft)
    speaker = SimulatedSpeaker(lambda prompt: UNKNOWN)
    candidate = LoraRaft(tools(), speaker).fit(train, held)
    speaker._script = script
    return candidate, speaker, train


def test_raft_is_taught_with_distractors_and_with_the_passage_that_answers():
    _, speaker, train = raft()
    declined = 0
    for pair, item in zip(speaker.taught, train, strict=True):
        user = pair.messages[1].content
        assert item.text in user
        if pair.completion == UNKNOWN:
            declined += 1
            continue
        (claim,) = claims_of(pair.completion)
        assert claim.text == item.answers[0]
        cited = user.split(f"[{claim.cited[0]}]")[1].split("[")[0]
        assert contains_answer(cited, item.answers) > 0
        assert user.count("\n") > 4  # and others beside it
    assert 0 < declined < len(train)
    assert [pair.completion for pair in raft()[1].taught] == [
        pair.completion for pair in speaker.taught
    ]  # the same for a seed


def test_raft_cites_what_was_given_and_drops_what_no_passage_says():
    asked = Request(text="What does hiring the loom cost?")

    def says(text):
        return raft(lambda prompt: text)[0].predict(asked, Scope())

    prompt = []
    candidate = raft(lambda one: prompt.append(one) or "x")[0]
    candidate.predict(asked, Scope())
    body = prompt[-1][1].content
    number = next(n for n in range(1, 7) if "loom" in body.split(f"[{n}]")[1].split("[")[0])
    right = says(f"Hiring the loom costs 9 USD a day. [{number}]")
    assert right.text == "Hiring the loom costs 9 USD a day."
    assert right.citations[0].quote == "Hiring the loom costs 9 USD a day."
    assert right.hits
    wrong = says(f"Hiring the loom costs 700 USD a day. [{number}]")
    assert (wrong.abstained, wrong.text, wrong.citations) == (True, "", ())
    assert dict(wrong.trace)["declined"] == "no sentence is supported"
    foreign = says("Hiring the loom costs 9 USD a day. [42]")
    assert foreign.grounding.foreign_citations == 1
    assert dict(foreign.trace)["cited_without_being_given"] == "42"
    assert says(UNKNOWN).abstained


def test_an_unlikely_or_endless_answer_is_declined():
    rows = [Item(id=str(n), task="answer", text=f"q {n}", answers=("yes",), answerable=n % 2 == 0) for n in range(40)]

    def says(prompt):
        odd = int(prompt[1].content.split()[-1]) % 2
        return Said(text="yes", log_probability=-3.0 if odd else -0.01)

    candidate = LoraClosedBook(tools(), SimulatedSpeaker(says)).fit(rows[:20], rows[20:])
    assert candidate.predict(Request(text="q 8"), Scope()).text == "yes"
    declined = candidate.predict(Request(text="q 9"), Scope())
    assert (declined.abstained, dict(declined.trace)["declined"]) == (True, "too unlikely")
    endless = LoraClosedBook(
        tools(), SimulatedSpeaker(lambda prompt: Said(text="and", log_probability=-0.1, ended=False))
    ).fit(rows[:20], ())
    assert endless.predict(Request(text="q 8"), Scope()).abstained


def writer(said):
    train, held = rows_of(LoraWriter)
    return LoraWriter(tools(), SimulatedSpeaker(lambda prompt: said)).fit(train, held)


SLOTS = {"name": "<Kim> {x} é", "order": "A-1"}


def test_the_writer_inserts_values_verbatim_and_never_shows_them_to_the_model():
    shown = []
    train, held = rows_of(LoraWriter)
    speaker = SimulatedSpeaker(lambda prompt: shown.append(prompt) or "Dear {name}, {order} is on its way.")
    output = (
        LoraWriter(tools(), speaker).fit(train, held).predict(Request(text="Where is my parcel?", slots=SLOTS), Scope())
    )
    assert output.text == "Dear <Kim> {x} é, A-1 is on its way."
    assert output.template == "Dear {name}, {order} is on its way."
    told = "".join(message.content for message in shown[-1])
    assert "<Kim>" not in told
    assert "{name}, {order}" in told


@pytest.mark.parametrize(
    "said", ["Dear {name}.", "Dear {name}, {order} and {other}.", "Dear {name}, {order} in 99 days.", ""]
)
def test_a_reply_that_breaks_a_rule_is_not_sent(said):
    output = writer(said).predict(Request(text="Where is order one?", slots=SLOTS), Scope())
    assert "fallback" in dict(output.trace)
    assert output.template in {item.output for item in replies(label=True)}
    assert SLOTS["name"] in output.text


def test_brackets_become_citations():
    assert claims_of("It takes two days. [1] Call us [2][3]. Or write.") == [
        Claim(text="It takes two days.", cited=(1,)),
        Claim(text="Call us.", cited=(2, 3)),
        Claim(text="Or write."),
    ]
    assert claims_of("") == []
