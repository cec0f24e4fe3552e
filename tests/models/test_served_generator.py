"""The real client on a real server process with a model that the tests trained."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tiny_generator import answer_to, question_about, tiny_generator

from steelyard.config import GeneratorSettings
from steelyard.evaluation.language_server import served_language_model
from steelyard.models.call_ledger import CallLedger
from steelyard.models.generator_loading import generator_state, load_generator, metered_generator
from steelyard.models.local_generator import LocalGenerator
from steelyard.schema.errors import StoppedError
from steelyard.schema.generation import Message, TokenPrice

pytestmark = pytest.mark.slow
pytest.importorskip("torch")

PRICE = TokenPrice(input=1.0, cached=0.1, output=4.0)
FACTS = [("kiln", "40"), ("loom", "70"), ("saw", "20"), ("oven", "90"), ("forge", "10"), ("press", "60")]


@pytest.fixture(scope="module")
def folder():
    return tiny_generator()


@pytest.fixture(scope="module")
def server(folder, tmp_path_factory):
    with served_language_model(folder, tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture
def settings(server, folder):
    return GeneratorSettings(kind="openai", base_url=server[0], model=str(folder), concurrency=4, retries=1)


@pytest.fixture
def generator(settings, tmp_path):
    made = metered_generator(settings, tmp_path, CallLedger(tmp_path / "calls.sqlite"), PRICE)
    yield made
    made.inner.close()
    made.ledger.close()


def asked(thing, price):
    return [Message(role=role, content=text) for role, text in question_about(thing, [(thing, price)])]


def test_answers_follow_the_context_and_are_those_of_the_model_itself(generator, folder) -> None:
    prompts = [asked(*one) for one in FACTS]
    found = generator.complete_many(prompts, max_tokens=24)
    assert [one.text for one in found] == [answer_to(thing, [(thing, price)]) for thing, price in FACTS]
    own = LocalGenerator(GeneratorSettings(kind="transformers", path=str(folder), device="cpu"))
    local = own.complete_many(prompts, max_tokens=24)
    assert [one.text for one in found] == [one.text for one in local]
    assert [one.use.input for one in found] == [one.use.input for one in local]


def test_the_server_counts_tokens_and_the_ledger_prices_them(generator) -> None:
    found = generator.complete(asked("kiln", "40"), max_tokens=24)
    assert found.use.input > 0
    assert found.use.output > 0
    assert found.usd == pytest.approx((found.use.input * 1.0 + found.use.output * 4.0) / 1e6)
    assert generator.ledger.spent().usd == pytest.approx(found.usd)
    assert found.notes == ()


def test_a_tokenizers_file_counts_a_prompt_as_the_server_does(settings, generator, folder, tmp_path) -> None:
    named = load_generator(replace(settings, tokenizer=str(folder)), tmp_path)
    for thing, price in FACTS:
        prompt = asked(thing, price)
        found = generator.complete(prompt, max_tokens=24)
        assert named.count_tokens(prompt) == found.use.input
        said = [Message(role="assistant", content=found.text)]
        assert named.count_tokens(said) == pytest.approx(
            found.use.output, abs=1
        )  # servers count the end of an answer or not
    assert named.counts_exactly
    assert not generator.inner.counts_exactly


def test_a_stream_says_the_same_in_pieces(generator) -> None:
    *pieces, whole = generator.stream(asked("loom", "70"), max_tokens=24)
    assert len(pieces) > 1
    assert "".join(pieces) == whole.text == "loom 70 USD. [1]"
    assert generator.complete(asked("loom", "70"), max_tokens=24).reused


def test_a_cut_answer_says_so(generator) -> None:
    assert generator.complete(asked("saw", "20"), max_tokens=2).finish == "length"


def test_the_server_is_ready_and_refuses_another_model(settings, generator, tmp_path) -> None:
    assert generator_state(settings, tmp_path).problem is None
    other = metered_generator(
        GeneratorSettings(kind="openai", base_url=settings.base_url, model="another", retries=0),
        tmp_path,
        generator.ledger,
        PRICE,
    )
    with pytest.raises(StoppedError) as caught:
        other.complete(asked("kiln", "40"), max_tokens=4)
    assert caught.value.code == "generator.unknown_model"
    other.inner.close()


def test_a_server_that_was_killed_is_told_as_gone(server, settings, generator, tmp_path) -> None:
    # The last test of the file: nothing is served after it.
    server[1].kill()
    server[1].wait()
    with pytest.raises(StoppedError) as caught:
        generator.complete(asked("anvil", "30"), max_tokens=24)
    assert caught.value.code == "generator.unreachable"
    assert generator_state(settings, tmp_path).problem.code == "generator.unreachable"
