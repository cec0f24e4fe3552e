"""The client of OpenAI-compatible servers against a simulator of one: real HTTP, every fault once."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai_simulator import MODEL, cut_after, hang_up, refusal, says, simulator, slow

from steelyard.config import GeneratorSettings
from steelyard.models import openai_calls
from steelyard.models.backing_off import LONGEST_PAUSE_S, Gate, asked_wait_s, exhausted_wait_s, pause_s
from steelyard.models.openai_generator import OpenAIGenerator
from steelyard.schema.errors import GeneratorError, StoppedError
from steelyard.schema.generation import Completion, Message, TokenUse

KEY = "sk-open-sesame"
SCHEMA = {
    "type": "object",
    "properties": {"label": {"enum": ["billing", "refund"]}},
    "required": ["label"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def running():
    with simulator() as server:
        yield server


@pytest.fixture
def server(running, monkeypatch):
    """The simulator with an empty queue; pauses between tries are left out."""
    monkeypatch.setattr(openai_calls, "pause_s", lambda attempt: 0.0)
    monkeypatch.setenv("SIMULATOR_KEY", KEY)
    running.__dict__.update(
        faults=[],
        requests=[],
        headers=[],
        callers=[],
        models=[MODEL],
        answers_as=MODEL,
        cached=0,
        most_busy=0,
        hold=None,
    )
    yield running
    running.__dict__.pop("answer_to", None)


@pytest.fixture
def generator(server):
    made = []

    def make(**settings):
        plain = {"kind": "openai", "base_url": server.url, "model": MODEL, "key_env": "SIMULATOR_KEY", "retries": 2}
        made.append(OpenAIGenerator(GeneratorSettings(**{**plain, **settings})))
        return made[-1]

    yield make
    for one in made:
        one.close()


def ask(text="what does the kiln cost"):
    return [Message(role="system", content="Be brief."), Message(role="user", content=text)]


def say(generator, text="what does the kiln cost", **more):
    return generator.complete(ask(text), max_tokens=20, **more)


def failing(generator, kind=GeneratorError, **more):
    with pytest.raises(kind) as caught:
        say(generator, **more)
    assert KEY not in str(caught.value)
    assert caught.value.where
    assert caught.value.remedy
    return caught.value


def test_an_answer_has_its_text_tokens_and_model(server, generator) -> None:
    server.cached = 3
    found = say(generator())
    assert found.text == "WHAT DOES THE KILN COST"
    # 7 words of prompt, 3 of them from the cache, 5 of answer
    assert found.use == TokenUse(input=4, cached=3, output=5)
    assert (found.model, found.finish, found.reused, found.notes) == (MODEL, "stop", False, ())
    assert found.seconds > 0
    sent = server.requests[0]
    assert (sent["model"], sent["max_tokens"], sent["temperature"]) == (MODEL, 20, 0.0)
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"


def test_many_prompts_are_answered_in_order(generator) -> None:
    texts = [f"number {n}" for n in range(12)]
    found = generator(concurrency=4).complete_many([ask(one) for one in texts], max_tokens=5)
    assert [one.text for one in found] == [one.upper() for one in texts]
    assert generator().complete_many([], max_tokens=5) == []


def test_no_more_calls_are_in_flight_than_allowed_and_as_many_are(server, generator) -> None:
    together = threading.Barrier(3)
    # Each call waits until three are there: with fewer in flight the barrier would break.
    server.hold = lambda: together.wait(timeout=30)
    found = generator(concurrency=3).complete_many([ask(str(n)) for n in range(9)], max_tokens=5)
    assert len(found) == 9
    assert server.most_busy == 3


def test_a_stream_gives_its_pieces_and_then_the_whole(generator) -> None:
    *pieces, whole = generator().stream(ask("one two three"), max_tokens=9)
    assert pieces == ["ONE", " TWO", " THREE"]
    assert isinstance(whole, Completion)
    assert (whole.text, whole.use, whole.finish) == ("ONE TWO THREE", TokenUse(input=5, output=3), "stop")


def test_a_stream_that_breaks_off_is_asked_for_again_and_the_trace_says_so(server, generator) -> None:
    server.faults = [cut_after(2)]
    *pieces, whole = generator().stream(ask("one two three"), max_tokens=9)
    assert "".join(pieces) == whole.text == "ONE TWO THREE"
    assert "the stream broke off after 7 characters" in whole.notes[0]
    assert [bool(one.get("stream")) for one in server.requests] == [True, False]


def test_a_stream_that_breaks_off_and_would_go_on_otherwise_is_an_error(server, generator) -> None:
    server.faults = [cut_after(2)]
    stream = generator().stream(ask("one two three"), max_tokens=9)
    assert next(stream) == "ONE"
    server.answer_to = lambda request: "something else"
    with pytest.raises(GeneratorError) as caught:
        list(stream)
    assert caught.value.code == "generator.cut"
    assert caught.value.use.output > 0  # what was streamed was paid


@pytest.mark.parametrize(
    ("event", "told"),
    [({"error": {"message": f"no memory for {KEY}"}}, "no memory for …"), ([], "no chunk"), (None, "not JSON")],
)
def test_nonsense_in_a_stream_ends_it_with_its_reason(server, generator, event, told) -> None:
    def fault(handler, request):
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.end_headers()
        piece = {"model": MODEL, "choices": [{"index": 0, "delta": {"content": "one"}}]}
        second = "{" if event is None else json.dumps(event)
        handler.wfile.write(f": a comment\n\ndata: {json.dumps(piece)}\n\ndata: {second}\n\n".encode())
        handler.close_connection = True
        return True

    server.faults, server.answer_to = [fault], lambda request: "another answer"
    stream = generator().stream(ask(), max_tokens=9)
    assert next(stream) == "one"
    with pytest.raises(GeneratorError) as caught:
        next(stream)
    assert caught.value.code == "generator.cut"
    assert told in caught.value.message
    assert KEY not in str(caught.value)


def test_streams_and_calls_share_one_connection(server, generator) -> None:
    made = generator()
    for _ in range(3):
        list(made.stream(ask("one two"), max_tokens=9))
        say(made)
    assert len(set(server.callers)) == 1


def test_a_refused_stream_is_told_like_any_other_call(server, generator) -> None:
    server.faults = [says(401, refusal("who are you"))]
    with pytest.raises(StoppedError) as caught:
        next(generator().stream(ask(), max_tokens=9))
    assert caught.value.code == "generator.key_refused"


def test_a_stream_that_breaks_off_before_its_first_piece_is_opened_again(server, generator) -> None:
    server.faults = [cut_after(0), hang_up]
    *pieces, whole = generator().stream(ask("one two"), max_tokens=9)
    assert pieces == ["ONE", " TWO"]
    assert len(whole.notes) == 2


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (says(500, refusal("out of memory")), "generator.server_error"),
        (says(429, refusal("slow down"), Retry_After="0"), "generator.rate_limited"),
        (says(200, "<html>a page</html>"), "generator.malformed"),
        (says(200, {"choices": []}), "generator.empty"),
        (hang_up, "generator.broken_off"),
    ],
)
def test_a_passing_fault_is_tried_again_and_a_lasting_one_has_a_code(server, generator, fault, code) -> None:
    server.faults = [fault]
    found = say(generator())
    assert found.text == "WHAT DOES THE KILN COST"
    assert found.notes[0].startswith("tried again")
    server.faults, server.requests = [fault] * 9, []
    assert failing(generator(retries=2)).code == code
    assert len(server.requests) == 3  # the first try and two more


def test_a_server_that_is_too_slow_is_an_error_with_the_time(server, generator) -> None:
    server.faults = [slow(2.0)]
    error = failing(generator(retries=0, timeout_s=0.3))
    assert error.code == "generator.timeout"
    assert "0.3 s" in error.message


@pytest.mark.parametrize(
    ("fault", "code", "told"),
    [
        (says(401, refusal(f"Incorrect API key provided: {KEY}.")), "generator.key_refused", "SIMULATOR_KEY"),
        (says(403, "no"), "generator.key_refused", "SIMULATOR_KEY"),
        (says(402, refusal("pay first")), "generator.no_credit", "credit"),
        (says(429, refusal("you are out", "insufficient_quota")), "generator.no_credit", "credit"),
        (says(404, refusal("The model does not exist")), "generator.unknown_model", "base_url"),
        (says(400, refusal("Server is pinned to 'a'; requested 'echo-1'.")), "generator.unknown_model", "base_url"),
        (says(307, "", Location="http://elsewhere.invalid/"), "generator.moved", "redirect"),
        (says(429, refusal("tomorrow"), Retry_After="3600"), "generator.rate_limited", "again then"),
    ],
)
def test_what_no_retry_mends_stops_at_once(server, generator, fault, code, told) -> None:
    server.faults = [fault]
    error = failing(generator(), StoppedError)
    assert error.code == code
    assert told in error.remedy
    assert len(server.requests) == 1


def test_an_unknown_model_names_the_nearest_that_is_served(server, generator) -> None:
    server.models = ["echo-1", "grand-2"]
    server.faults = [says(404, refusal("no such model"))]
    assert failing(generator(model="ecko-1"), StoppedError).remedy == "Did you mean 'echo-1'?"


def test_an_answer_by_another_model_is_an_error_unless_the_settings_know_the_name(server, generator) -> None:
    server.answers_as = "grand-2"
    error = failing(generator(), StoppedError)
    assert error.code == "generator.other_model"
    assert 'model = "grand-2"' in error.remedy
    assert say(generator(answers_as="grand-2")).model == "grand-2"
    server.answers_as = f"{MODEL}-2026-01-01"  # the dated name of the same model
    assert say(generator()).model == f"{MODEL}-2026-01-01"


def test_a_prompt_that_is_too_long_is_told_from_other_refusals(server, generator) -> None:
    server.faults = [says(400, refusal("This model's maximum context length is 8192 tokens"))]
    assert failing(generator()).code == "generator.too_long"
    server.faults = [says(400, refusal("bad request"))]
    assert failing(generator()).code == "generator.refused_request"


def test_a_filtered_answer_is_an_error(server, generator) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "I"}, "finish_reason": "content_filter"}
    server.faults = [says(200, {"model": MODEL, "choices": [choice]})]
    assert failing(generator()).code == "generator.filtered"


def test_nobody_at_the_address_is_told_as_such(generator) -> None:
    error = failing(generator(base_url="http://127.0.0.1:9/v1", retries=1), StoppedError)
    assert error.code == "generator.unreachable"
    assert "base_url" in error.remedy


def test_a_missing_key_names_its_variable_and_asks_nobody(server, generator, monkeypatch) -> None:
    monkeypatch.delenv("SIMULATOR_KEY")
    error = failing(generator(), StoppedError)
    assert error.code == "generator.no_key"
    assert "SIMULATOR_KEY" in error.message
    assert server.requests == []


def test_a_server_without_keys_needs_none(server, generator) -> None:
    assert say(generator(key_env=None)).text
    assert KEY not in str(server.headers)


def test_what_a_server_refuses_is_left_out_from_then_on(server, generator) -> None:
    made = generator()
    server.faults = [says(400, refusal("Unsupported parameter: use 'max_completion_tokens' instead of 'max_tokens'."))]
    assert "max_completion_tokens" in say(made).notes[0]
    server.faults = [says(400, refusal("'temperature' does not support 0.0 with this model"))]
    assert say(made, "again").notes == ("the server sets the temperature itself",)
    assert say(made, "third").notes == ()
    last = server.requests[-1]
    assert last["max_completion_tokens"] == 20
    assert not {"max_tokens", "temperature"} & set(last)


def test_a_schema_goes_to_the_server_and_the_answer_is_checked(server, generator) -> None:
    server.answer_to = lambda request: '{"label": "refund"}'
    assert say(generator(), schema=SCHEMA).text == '{"label": "refund"}'
    form = server.requests[0]["response_format"]["json_schema"]
    assert (form["schema"], form["strict"]) == (SCHEMA, True)
    assert len(server.requests[0]["messages"]) == 2  # the prompt is as it was


def test_an_invalid_answer_is_told_what_was_wrong_and_counts_all_tries(server, generator) -> None:
    answers = iter(["billing", '```json\n{"label": "bill"}\n```', '```json\n{"label": "billing"}\n```'])
    server.answer_to = lambda request: next(answers)
    found = say(generator(), schema=SCHEMA)
    assert found.text == '{"label": "billing"}'
    assert len(found.notes) == 2
    assert "$.label: 'bill' is not one of" in found.notes[1]
    assert found.use.output == 1 + 4 + 4  # the words of all three answers
    assert server.requests[2]["messages"][-1]["content"].startswith("That was not valid: $.label")
    # The server did not hold the first answer to the schema, so the prompt does from then on.
    assert "response_format" not in server.requests[1]
    assert '"refund"' in server.requests[1]["messages"][0]["content"]


def test_no_valid_answer_is_an_error_with_what_was_used(server, generator) -> None:
    server.answer_to = lambda request: "billing"
    error = failing(generator(), schema=SCHEMA)
    assert error.code == "generator.invalid_json"
    assert error.use.output == 3


def test_a_server_that_takes_no_schema_gets_it_in_the_prompt(server, generator) -> None:
    server.faults = [says(400, refusal("response_format is not supported"))]
    server.answer_to = lambda request: '{"label": "refund"}' if "JSON schema" in str(request["messages"]) else "refund"
    found = say(generator(), schema=SCHEMA)
    assert found.text == '{"label": "refund"}'
    assert "stands in the prompt" in found.notes[0]


def test_the_window_comes_from_the_settings_or_from_the_servers_list(server, generator) -> None:
    assert generator(context_tokens=100).context_tokens == 100
    assert generator().context_tokens == 8192


def test_a_wait_that_was_asked_for_closes_the_gate_for_all(server, generator, monkeypatch) -> None:
    made, waits = generator(), []
    monkeypatch.setattr(made._gate, "close_for", waits.append)
    monkeypatch.setattr(openai_calls, "sleep", lambda seconds: None)
    server.faults = [says(429, refusal("slow down"), Retry_After="7")]
    assert "after 7 s that the server asked for" in say(made).notes[0]
    exhausted = {"x_ratelimit_remaining_requests": "0", "x_ratelimit_reset_requests": "1m2s"}
    choice = {"index": 0, "message": {"content": "ok"}, "finish_reason": "stop"}
    server.faults = [says(200, {"model": MODEL, "choices": [choice]}, **exhausted)]
    say(made)
    assert waits == [7.0, 62.0]


@given(st.integers(0, 40), st.floats(0, 1, exclude_max=True))
def test_a_pause_grows_twofold_up_to_its_longest_and_never_below_half(attempt, draw) -> None:
    whole = min(LONGEST_PAUSE_S, 0.5 * 2**attempt)
    assert whole / 2 <= pause_s(attempt, lambda: draw) <= whole


def test_headers_are_read_in_all_their_forms() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert asked_wait_s({"retry-after": "2.5"}) == 2.5
    assert asked_wait_s({"retry-after-ms": "250", "retry-after": "9"}) == 0.25
    assert asked_wait_s({"retry-after": "Thu, 01 Jan 2026 00:00:30 GMT"}, now) == 30.0
    assert asked_wait_s({"retry-after": "soon"}) is None
    assert asked_wait_s({}) is None
    assert exhausted_wait_s({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "500ms"}) == 0.5
    assert exhausted_wait_s({"x-ratelimit-remaining-tokens": "5", "x-ratelimit-reset-tokens": "1h"}) == 0.0


def test_a_closed_gate_lets_nobody_through_before_its_moment() -> None:
    gate = Gate(1)
    gate.close_for(0.05)
    gate.close_for(0.01)
    with gate:
        opened = gate._opens
    assert opened <= monotonic()
