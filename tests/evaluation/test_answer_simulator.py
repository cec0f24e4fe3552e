"""The simulator that forecasts are measured on: its counts are the tokenizer's, its answers have the form that was asked for."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from steelyard.config import GeneratorSettings
from steelyard.evaluation.answer_simulator import CACHED_FROM, MODEL, answering_simulator
from steelyard.models.generator_loading import load_generator
from steelyard.models.json_answers import read_answer
from steelyard.schema.errors import StoppedError
from steelyard.schema.generation import Message

SCHEMA = {
    "type": "object",
    "properties": {"label": {"enum": ["refund", "billing"]}, "why": {"type": "string"}},
    "required": ["label", "why"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    raw = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    raw.enable_truncation(max_length=4)  # as some files do; what is counted is the whole
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    raw.save(str(path))
    return path


@pytest.fixture(scope="module")
def generator(tokenizer):
    with answering_simulator(tokenizer) as url:
        made = load_generator(
            GeneratorSettings(kind="openai", base_url=url, model=MODEL, tokenizer=str(tokenizer)), tokenizer.parent
        )
        yield made
        made.close()


def asking(text, system="Sort."):
    return [Message(role="system", content=system), Message(role="user", content=text)]


def test_what_the_server_counts_is_what_the_tokenizer_counts(generator) -> None:
    prompt = asking("a message of seven words in all")
    found = generator.complete(prompt, max_tokens=400, schema=SCHEMA)
    assert read_answer(found.text, SCHEMA)[1] is None
    assert found.use.input == generator.count_tokens(prompt) == 4 + 2 + 4 + 7
    assert found.use.output == generator.count_tokens([Message(role="assistant", content=found.text)])
    assert generator.complete(prompt, max_tokens=400, schema=SCHEMA).text == found.text


def test_a_long_beginning_is_read_from_the_cache_from_the_second_time(generator) -> None:
    system = " ".join(["word"] * CACHED_FROM)
    first, second = (generator.complete(asking(text, system), max_tokens=400) for text in ("one", "two"))
    assert first.use.cached == 0
    assert second.use.cached == CACHED_FROM
    assert second.use.input + second.use.cached == first.use.input


def test_what_is_no_tokenizer_is_told_with_its_file(tokenizer, tmp_path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    settings = GeneratorSettings(kind="openai", base_url="http://127.0.0.1:9/v1", model="m", tokenizer="tokenizer.json")
    with pytest.raises(StoppedError) as caught:
        load_generator(settings, tmp_path).count_tokens(asking("hello"))
    assert caught.value.code == "generator.bad_tokenizer"
    assert "tokenizer.json" in caught.value.where
