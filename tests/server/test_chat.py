"""The chat API: the stock OpenAI client asks the pipeline and its parts, whole and in pieces."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from server.served import Door
from steelyard.server.chat_form import pieces

PUBLIC = "How many tools may I have out at the same time?"
SLOTS = {"steelyard": {"slots": {"name": "Kim", "agent": "Lee"}}}


@pytest.fixture(scope="module")
def client(door: Door) -> openai.OpenAI:
    return openai.OpenAI(
        base_url="http://testserver/v1", api_key=door.keys["ask"], http_client=door.client, max_retries=0
    )


def ask(client: openai.OpenAI, text: str = PUBLIC, **more: Any) -> Any:
    call = {"model": "steelyard", "extra_body": SLOTS} | more
    return client.chat.completions.create(messages=[{"role": "user", "content": text}], **call)


def test_the_stock_client_asks_the_whole_pipeline(client: openai.OpenAI, door: Door) -> None:
    answer = ask(client, temperature=0.2, max_tokens=300)
    here = door.call("POST", "/api/respond", {"text": PUBLIC, **SLOTS["steelyard"]}, key="ask").json()
    assert answer.choices[0].message.content == here["text"]
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.prompt_tokens > 0
    assert answer.usage.completion_tokens > 0
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    extra = answer.steelyard
    assert extra["citations"] == here["citations"]
    assert [part["name"] for part in extra["parts"]] == [part["name"] for part in here["component_trace"]]
    assert extra["cost_usd"] > 0
    assert answer.id == f"chatcmpl-{extra['trace_id']}"


def test_a_stream_says_what_the_whole_answer_says(client: openai.OpenAI) -> None:
    whole = ask(client)
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    *_, last, usage = chunks
    assert last.choices[0].finish_reason == "stop"
    assert last.steelyard["citations"] == whole.steelyard["citations"]
    assert usage.usage == whole.usage
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[0].id == f"chatcmpl-{last.steelyard['trace_id']}"
    assert len(list(ask(client, stream=True))) == len(chunks) - 1


def test_each_part_can_be_asked_alone(client: openai.OpenAI, door: Door) -> None:
    routed = ask(client, model="steelyard/intent", text="is the sander free on monday")
    there = door.call("POST", "/api/route", {"text": "is the sander free on monday"}).json()
    assert routed.choices[0].message.content == there["label"]
    assert routed.steelyard["probability"] == there["probability"]
    alone = ask(client, model="steelyard/answer")
    assert alone.choices[0].message.content == door.call("POST", "/api/ask", {"question": PUBLIC}).json()["answer"]
    assert [part["component"] for part in ask(client, model="steelyard/reply").steelyard["parts"]] == ["reply"]


def test_the_models_are_the_pipeline_and_its_parts(client: openai.OpenAI) -> None:
    names = [one.id for one in client.models.list().data]
    assert names == ["steelyard", "steelyard/intent", "steelyard/answer", "steelyard/reply"]
    assert client.models.retrieve("steelyard/answer").id == "steelyard/answer"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt")


def test_errors_have_the_shape_that_the_client_knows(client: openai.OpenAI, door: Door) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        ask(client, model="gpt-none")
    assert unknown.value.code == "serving.unknown_model"
    assert unknown.value.param == "model"
    with pytest.raises(openai.BadRequestError) as malformed:
        client.chat.completions.create(model="steelyard", messages=[])
    assert malformed.value.type == "invalid_request_error"
    stranger = client.with_options(api_key="nobody")
    with pytest.raises(openai.AuthenticationError):
        ask(stranger)
    with pytest.raises(openai.PermissionDeniedError):
        ask(client, extra_body={"steelyard": {"asker": {"groups": ["staff"]}}})
    with pytest.raises(openai.NotFoundError):
        ask(client, model="gpt-none", stream=True)


def test_the_last_message_of_the_user_is_answered_whatever_its_form(client: openai.OpenAI) -> None:
    one = ask(client).choices[0].message.content
    talk: Any = [
        {"role": "system", "content": "Answer as a pirate."},
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "Hi."},
        {"role": "user", "content": [{"type": "text", "text": PUBLIC}]},
    ]
    answer = client.chat.completions.create(model="steelyard", messages=talk, extra_body=SLOTS)
    assert answer.choices[0].message.content == one
    silent = client.chat.completions.create(model="steelyard/answer", messages=[{"role": "user", "content": ""}])
    assert silent.choices[0].message.content
    assert silent.steelyard["handoff"] is True


def test_the_decision_is_what_weigh_wrote(door: Door) -> None:
    told = door.call("GET", "/api/decision", key="operate").json()
    assert told == json.loads((door.site.workspace.folder / "decision.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("text", ["", "One.", 'He said "no." Then: 3.5 per cent!\n\n- a list\n- of two', "  x  "])
def test_pieces_together_are_the_text(text: str) -> None:
    assert "".join(pieces(text)) == text
