"""A local model through transformers, on one that the tests trained: its answers follow its context."""

from __future__ import annotations

import shutil

import pytest
from tiny_generator import PRICES, THINGS, answer_to, question_about, tiny_generator

from steelyard.config import GeneratorSettings
from steelyard.models.call_ledger import CallLedger
from steelyard.models.local_generator import LocalGenerator
from steelyard.models.metered_generator import MeteredGenerator
from steelyard.schema.errors import GeneratorError, StoppedError
from steelyard.schema.generation import Message, TokenPrice

pytest.importorskip("torch")
pytest.importorskip("transformers")

SCHEMA = {"type": "object"}


@pytest.fixture(scope="module")
def folder():
    return tiny_generator()


@pytest.fixture(scope="module")
def generator(folder):
    return LocalGenerator(GeneratorSettings(kind="transformers", path=str(folder), concurrency=4, device="cpu"))


def asked(thing, price):
    return [Message(role=role, content=text) for role, text in question_about(thing, [(thing, price)])]


def test_the_answer_follows_the_context(generator) -> None:
    questions = [(thing, price) for thing in THINGS for price in PRICES]
    found = generator.complete_many([asked(*one) for one in questions], max_tokens=24)
    right = [
        one.text == answer_to(thing, [(thing, price)]) for one, (thing, price) in zip(found, questions, strict=True)
    ]
    assert sum(right) >= 0.95 * len(right)
    assert {one.finish for one, well in zip(found, right, strict=True) if well} == {"stop"}


def test_an_answer_does_not_depend_on_its_batch(generator) -> None:
    prompts = [
        asked("kiln", "40"),
        [Message(role="user", content="?")],
        asked("loom", "70"),
        asked("saw", "10"),
        asked("oven", "90"),
    ]
    together = generator.complete_many(prompts, max_tokens=24)
    alone = [generator.complete(one, max_tokens=24) for one in prompts]
    assert [one.text for one in together] == [one.text for one in alone]
    assert [one.use for one in together] == [one.use for one in alone]


def test_tokens_are_counted_with_the_template(generator) -> None:
    prompt = asked("kiln", "40")
    found = generator.complete(prompt, max_tokens=24)
    assert found.use.input == generator.count_tokens(prompt)
    assert 0 < found.use.output <= 24
    short = generator.complete(prompt, max_tokens=2)
    assert (short.finish, short.use.output) == ("length", 2)


def test_a_stream_gives_the_same_answer_in_pieces(generator) -> None:
    whole = generator.complete(asked("kiln", "40"), max_tokens=24)
    *pieces, last = generator.stream(asked("kiln", "40"), max_tokens=24)
    assert len(pieces) > 1
    assert "".join(pieces) == last.text == whole.text
    assert last.use == whole.use


def test_a_reader_that_leaves_a_stream_ends_it(generator) -> None:
    stream = generator.stream(asked("kiln", "40"), max_tokens=1500)
    next(stream)
    stream.close()
    assert generator.complete(asked("kiln", "40"), max_tokens=24).text  # the model is free again


def test_a_prompt_that_does_not_fit_is_refused_with_its_length(generator) -> None:
    with pytest.raises(GeneratorError) as caught:
        generator.complete(asked("kiln", "40"), max_tokens=4000)
    assert caught.value.code == "generator.too_long"
    assert "4000" in caught.value.message
    assert generator.context_tokens == 2048


def test_an_answer_that_never_becomes_json_is_an_error_with_its_tokens(generator) -> None:
    with pytest.raises(GeneratorError) as caught:
        generator.complete(asked("kiln", "40"), max_tokens=8, schema=SCHEMA)
    assert caught.value.code == "generator.invalid_json"
    assert caught.value.use.output > 0


def test_in_a_batch_each_unusable_answer_is_metered_and_kept_alone(generator, tmp_path) -> None:
    ledger = CallLedger(tmp_path / "calls.sqlite")
    metered = MeteredGenerator(generator, ledger, TokenPrice(input=1.0), batch=2)
    prompts = [asked("kiln", "40"), asked("loom", "70")]
    for _ in range(2):
        with pytest.raises(GeneratorError):
            metered.complete_many(prompts, max_tokens=8, schema=SCHEMA)
        assert ledger.spent().calls == 2
    ledger.close()


def test_the_name_changes_with_the_weights(generator, folder, tmp_path) -> None:
    copy = tmp_path / folder.name
    shutil.copytree(folder, copy)
    assert LocalGenerator(GeneratorSettings(kind="transformers", path=str(copy))).name == generator.name
    weights = copy / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert LocalGenerator(GeneratorSettings(kind="transformers", path=str(copy))).name != generator.name


def test_only_safetensors_in_a_local_folder_are_loaded(folder, tmp_path) -> None:
    copy = tmp_path / "bin"
    shutil.copytree(folder, copy)
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    for path, code in [(copy, "generator.no_safetensors"), (tmp_path / "org" / "model", "generator.no_model")]:
        with pytest.raises(StoppedError) as caught:
            LocalGenerator(GeneratorSettings(kind="transformers", path=str(path)))
        assert caught.value.code == code
