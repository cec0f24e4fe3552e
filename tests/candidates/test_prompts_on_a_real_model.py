"""Prompted candidates on a real, tiny language model that was taught something else: what it says is no answer, and is counted so."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from dataclasses import replace

from candidates.test_answer_rag import questions, tools
from candidates.test_labelled_candidates import cut, tickets
from models.tiny_generator import tiny_generator
from steelyard.candidates.answer_generated import RagGenerator
from steelyard.candidates.classify_prompted import ZeroShot
from steelyard.config import GeneratorSettings
from steelyard.models.call_ledger import CallLedger
from steelyard.models.generator_loading import metered_generator
from steelyard.models.json_answers import with_instructions
from steelyard.models.rehearsal import Rehearsal
from steelyard.schema.generation import TokenPrice
from steelyard.schema.outputs import Request
from steelyard.schema.scope import Scope

pytestmark = pytest.mark.slow

PRICE = TokenPrice(input=1.0, cached=0.1, output=4.0)


@pytest.fixture
def generator(tmp_path):
    settings = GeneratorSettings(kind="transformers", path=str(tiny_generator()), device="cpu", concurrency=4)
    made = metered_generator(settings, tmp_path, CallLedger(tmp_path / "calls.sqlite"), PRICE)
    yield made
    made.ledger.close()


def test_a_real_model_that_keeps_to_no_form_declines_is_counted_and_is_paid_for(generator) -> None:
    train, _, holdout = cut(tickets())
    router = ZeroShot(replace(tools(), generator=generator)).fit(train, [])
    answerer = RagGenerator(replace(tools(), generator=generator)).fit(questions(), [])
    for output in (
        router.predict(Request(text=holdout[0].text), Scope()),
        answerer.predict(Request(text="What does hiring the loom cost?"), Scope()),
    ):
        assert output.well_formed is False
        assert output.abstained or output.out_of_scope
        assert (output.text, output.citations) == ("", ())
        # Every try that came to nothing was made, and its tokens are in the books.
        assert output.usage.tokens_in > 300
        assert output.usage.tokens_out > 0
    spent = generator.ledger.spent()
    assert spent.calls == 2
    assert spent.usd > 0


def test_the_tokens_of_a_prompt_are_foreseen_to_the_last_one_with_a_local_model(generator) -> None:
    prompt = ZeroShot(replace(tools(), generator=Rehearsal(generator)))
    train, _, holdout = cut(tickets())
    prompt.fit(train, []).predict(Request(text=holdout[0].text), Scope())
    rehearsal = prompt._tools.generator
    (asked,) = rehearsal.waiting
    # As the model reads it: with the schema in the prompt, because nothing else holds it to one.
    answered = generator.complete(with_instructions(asked.messages, asked.schema), max_tokens=4)
    assert rehearsal.calls == 1
    assert rehearsal.use.input == answered.use.input
