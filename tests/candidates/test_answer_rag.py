import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from steelyard.candidates.answer_rag import RagBm25, RagDense, RagHybrid, RagRerank, RagTuned
from steelyard.candidates.interface import Tools
from steelyard.components.quotes import resolves
from steelyard.components.reader import UNTUNED, Reader
from steelyard.components.retriever import Retriever
from steelyard.models.fake import FakeEncoder
from steelyard.schema.errors import ModelError, NotFittedError, UserError
from steelyard.schema.items import Item
from steelyard.schema.outputs import Request
from steelyard.schema.scope import Access, Scope
from steelyard.stores.conformance import passage
from steelyard.stores.interface import Staged
from steelyard.stores.memory import MemoryStore

ALL = (RagBm25, RagDense, RagHybrid, RagRerank, RagTuned)
THINGS = ("kiln", "lathe", "loom", "press", "easel", "forge", "anvil", "wheel", "bench", "saw", "drill", "oven")
STAFF = Scope(groups=frozenset({"staff"}))


def corpus():
    everyone, staff = Access(allow=("everyone",)), Access(allow=("staff",))
    public = [
        passage(
            thing,
            f"The {thing} stands in the yard. Hiring the {thing} costs {7 + at} USD a day. The {thing} weighs {50 + at} kg.",
            everyone,
        )
        for at, thing in enumerate(THINGS)
    ]
    return [*public, passage("secret", "Hiring the crane costs 900 USD a day. Only the staff may know.", staff)]


def questions():
    rows = []
    for at, thing in enumerate(THINGS):
        rows.append(
            Item(id=f"p{at}", task="answer", text=f"What does hiring the {thing} cost?", answers=(f"{7 + at} USD",))
        )
        rows.append(Item(id=f"w{at}", task="answer", text=f"How much weighs the {thing}?", answers=(f"{50 + at} kg",)))
        rows.append(
            Item(id=f"u{at}", task="answer", text=f"Who invented {thing}s and in which century?", answerable=False)
        )
    rows.append(
        Item(id="c", task="answer", text="What does hiring the crane cost?", answers=("900 USD",), groups=STAFF.groups)
    )
    return [replace(row, source=row.source) for row in rows]


def tools():
    encoder = FakeEncoder(256)
    store = MemoryStore()
    passages = corpus()
    store.stage(1, Staged(passages, encoder.encode([entry.search_text for entry in passages])), [])
    return Tools(encoder=encoder, search=Retriever(store, encoder, 1))


@pytest.fixture(scope="module")
def fitted():
    rows = questions()
    return {one: one(tools()).fit(rows[0::2], rows[1::2]) for one in ALL}


@pytest.mark.parametrize("kind", ALL)
def test_the_answer_is_quoted_with_a_citation_that_resolves(fitted, kind):
    output = fitted[kind].predict(Request(text="What does hiring the loom cost?"), Scope())
    assert output.text == "Hiring the loom costs 9 USD a day."
    (citation,) = output.citations
    assert citation.quote == output.text
    assert resolves(next(entry for entry in corpus() if entry.id == "loom"), citation)
    assert 0.0 < output.probability < 1.0
    assert output.usage.seconds > 0


@pytest.mark.parametrize("kind", ALL)
def test_a_hidden_document_is_as_if_it_were_not_there(fitted, kind):
    question = Request(text="What does hiring the crane cost?")
    assert "900 USD" in fitted[kind].predict(question, STAFF).text
    public = fitted[kind].predict(question, Scope())
    assert "900" not in public.text
    assert all(hit.passage.id != "secret" for hit in public.hits)
    # The staff's question before it must leave no trace: a candidate that never saw the document says the same.
    fresh = kind(_without_secret()).fit(questions()[0::2], questions()[1::2])
    learned = fitted[kind]._fitted
    reader = Reader(FakeEncoder(256), learned.reader.weights, tokens=learned.reader._tokens)
    fresh._fitted = replace(learned, reader=reader)
    alone = fresh.predict(question, Scope())
    assert (alone.text, alone.abstained, alone.citations) == (public.text, public.abstained, public.citations)


def _without_secret():
    encoder = FakeEncoder(256)
    store = MemoryStore()
    passages = corpus()[:-1]
    store.stage(1, Staged(passages, encoder.encode([entry.search_text for entry in passages])), [])
    return Tools(encoder=encoder, search=Retriever(store, encoder, 1))


@pytest.mark.parametrize("kind", ALL)
def test_unanswerable_questions_are_declined_and_answerable_ones_answered(fitted, kind):
    outputs = {row.id: fitted[kind].predict(Request(text=row.text), STAFF) for row in questions()}
    declined = [outputs[f"u{at}"].abstained for at in range(len(THINGS))]
    answered = [not outputs[f"{letter}{at}"].abstained for letter in "pw" for at in range(len(THINGS))]
    assert np.mean(declined) >= 0.9
    assert np.mean(answered) >= 0.9
    one = outputs["u0"]
    assert (one.text, one.citations) == ("", ())


@pytest.mark.parametrize("kind", ALL)
def test_saved_and_loaded_it_predicts_the_same(fitted, kind, tmp_path):
    fitted[kind].save(tmp_path)
    loaded = kind(tools()).load(tmp_path)
    for row in questions():
        before = fitted[kind].predict(Request(text=row.text), STAFF)
        after = loaded.predict(Request(text=row.text), STAFF)
        assert replace(after, usage=before.usage) == before


def test_fitting_twice_gives_the_same_candidate(fitted):
    rows = questions()
    again = RagTuned(tools()).fit(rows[0::2], rows[1::2])._fitted
    first = fitted[RagTuned]._fitted
    assert np.array_equal(again.reader.weights, first.reader.weights)
    assert np.array_equal(again.decliner.coefficients, first.decliner.coefficients)
    assert (again.dense_weight, again.decliner.threshold) == (first.dense_weight, first.decliner.threshold)


def test_only_what_pays_is_learned_and_what_was_compared_is_said(fitted):
    for kind in (RagBm25, RagDense, RagHybrid):
        assert np.array_equal(fitted[kind]._fitted.reader.weights, UNTUNED)
        assert fitted[kind].learned == {"level": "untuned"}
    # The plain reader gets all of these questions right: there is nothing to gain, and nothing is tuned.
    assert fitted[RagRerank].learned == {"level": "untuned", "token_weight": 0.0}
    learned = fitted[RagTuned].learned
    assert learned["level"] == "untuned"
    assert learned["untuned"] >= 0.9
    assert "too few" in learned["cross-encoder"]
    assert np.array_equal(fitted[RagTuned]._fitted.reader.weights, UNTUNED)


@pytest.mark.parametrize("kind", ALL)
def test_use_before_fit_is_refused(kind, tmp_path):
    with pytest.raises(NotFittedError):
        kind(tools()).predict(Request(text="anything"), Scope())
    with pytest.raises(NotFittedError):
        kind(tools()).save(tmp_path)


def test_a_model_of_another_candidate_is_refused(fitted, tmp_path):
    fitted[RagBm25].save(tmp_path)
    with pytest.raises(ModelError, match="rag-tuned"):
        RagTuned(tools()).load(tmp_path)


def test_without_documents_the_remedy_is_named():
    with pytest.raises(UserError, match="ingest"):
        RagBm25(Tools(encoder=FakeEncoder(64))).fit(questions(), [])


def test_without_questions_it_answers_all():
    output = RagHybrid(tools()).fit([], []).predict(Request(text="What does hiring the loom cost?"), Scope())
    assert output.text == "Hiring the loom costs 9 USD a day."


def test_nothing_visible_is_declined(fitted):
    empty = RagBm25(Tools(encoder=FakeEncoder(256), search=Retriever(MemoryStore(), FakeEncoder(256), 1)))
    output = empty.fit([], []).predict(Request(text="What does it cost?"), Scope())
    assert (output.abstained, output.probability, output.citations) == (True, 0.0, ())


def test_serving_loads_no_training_library(fitted, tmp_path):
    fitted[RagTuned].save(tmp_path)
    script = f"""
import sys
sys.path.insert(0, {str(__file__.rsplit("/", 1)[0])!r})
from pathlib import Path
import pytest
import test_answer_rag as here
candidate = here.RagTuned(here.tools()).load(Path({str(tmp_path)!r}))
candidate.predict(here.Request(text="What does hiring the loom cost?"), here.STAFF)
print(sorted({{"torch", "sklearn", "scipy", "transformers"}} & set(sys.modules)))
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
