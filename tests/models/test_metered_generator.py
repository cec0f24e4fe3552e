"""Calls are metered once, kept by content and stopped at the cap: the real client against a simulator."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from openai_simulator import MODEL, refusal, says, simulator

from steelyard.config import GeneratorSettings
from steelyard.models import call_ledger, openai_calls
from steelyard.models.call_ledger import CallLedger
from steelyard.models.generator_loading import generator_state, load_generator, metered_generator
from steelyard.models.metered_generator import MeteredGenerator, spending_on
from steelyard.models.metering import metered
from steelyard.schema.errors import GeneratorError, SpendCapError, StoppedError, StoreError
from steelyard.schema.generation import Completion, Message, TokenPrice, TokenUse

PRICE = TokenPrice(input=1000.0, cached=100.0, output=10_000.0)
"""USD per million: an answer to one word is 2 x 0.001 in (the system message has one) and 1 x 0.01 out."""

ONE_CALL = 0.012


@pytest.fixture(scope="module")
def running():
    with simulator() as server:
        yield server


@pytest.fixture
def server(running, monkeypatch):
    monkeypatch.setattr(openai_calls, "pause_s", lambda attempt: 0.0)
    running.__dict__.update(faults=[], requests=[], models=[MODEL], answers_as=MODEL, hold=None)
    return running


@pytest.fixture
def make(server, tmp_path):
    made = []

    def build(ledger=None, **settings):
        plain = {"kind": "openai", "base_url": server.url, "model": MODEL, "concurrency": 2, "retries": 0}
        ledger = ledger or CallLedger(tmp_path / "calls.sqlite")
        made.append(metered_generator(GeneratorSettings(**{**plain, **settings}), tmp_path, ledger, PRICE))
        return made[-1]

    yield build
    for one in made:
        one.inner.close()
        one.ledger.close()


RUN = f"""
import sys
from pathlib import Path
from steelyard.config import GeneratorSettings
from steelyard.models.call_ledger import CallLedger
from steelyard.models.generator_loading import metered_generator
from steelyard.schema.generation import Message, TokenPrice

settings = GeneratorSettings(kind="openai", base_url=sys.argv[1], model="{MODEL}", concurrency=2)
generator = metered_generator(settings, Path("."), CallLedger(Path(sys.argv[2])), TokenPrice(input=1.0))
prompts = [[Message(role="system", content="Shout."), Message(role="user", content=f"word{{n}}")] for n in range(20)]
generator.complete_many(prompts, max_tokens=5)
"""


def ask(word):
    return [Message(role="system", content="Shout."), Message(role="user", content=word)]


def words(count):
    return [ask(f"word{n}") for n in range(count)]


def test_a_call_costs_its_tokens_and_is_entered_once(make) -> None:
    generator = make()
    with spending_on("weigh answer/rag"):
        found = generator.complete(ask("kiln"), max_tokens=5)
    assert found.usd == pytest.approx(ONE_CALL)
    spent = generator.ledger.by_purpose()
    assert list(spent) == ["weigh answer/rag"]
    assert spent["weigh answer/rag"].calls == 1
    assert spent["weigh answer/rag"].use == found.use == TokenUse(input=2, output=1)
    assert generator.ledger.month_usd() == pytest.approx(ONE_CALL)


def test_a_repeated_run_costs_nothing_and_says_so(server, make) -> None:
    first = make().complete_many(words(5), max_tokens=5)
    asked = len(server.requests)
    again = make(ledger=CallLedger(make().ledger.path)).complete_many(words(5), max_tokens=5)
    assert len(server.requests) == asked == 5
    assert [one.text for one in again] == [one.text for one in first]
    assert [one.reused for one in first] == [False] * 5
    assert [one.reused for one in again] == [True] * 5
    assert sum(one.paid_usd for one in again) == 0.0
    assert make().ledger.month_usd() == pytest.approx(5 * ONE_CALL)


@pytest.mark.parametrize(
    "other", [{"max_tokens": 6}, {"temperature": 0.5}, {"schema": {"type": "string"}}], ids=lambda one: next(iter(one))
)
def test_other_parameters_are_another_call(server, make, other) -> None:
    server.answer_to = lambda request: '"kiln"'
    try:
        generator = make(json_schema="server")
        generator.complete(ask("kiln"), max_tokens=5)
        assert not generator.complete(ask("kiln"), **{"max_tokens": 5, **other}).reused
    finally:
        del server.__dict__["answer_to"]


def test_another_model_or_another_server_is_another_call(make) -> None:
    generator = make()
    generator.complete(ask("kiln"), max_tokens=5)
    other = make(model="echo-1-large", answers_as=MODEL)
    assert not other.complete(ask("kiln"), max_tokens=5).reused


def test_equal_prompts_of_one_run_are_paid_once(server, make) -> None:
    found = make().complete_many([ask("kiln"), ask("loom"), ask("kiln")], max_tokens=5)
    assert [one.text for one in found] == ["KILN", "LOOM", "KILN"]
    assert [one.reused for one in found] == [False, False, True]
    assert len(server.requests) == 2


def test_a_kept_answer_measures_like_the_paid_one(make) -> None:
    generator = make()
    with metered() as first:
        paid = generator.complete(ask("kiln"), max_tokens=5)
    with metered() as second:
        generator.complete(ask("kiln"), max_tokens=5)
    for meter in (first, second):
        assert (meter.usage.tokens_in, meter.usage.tokens_out, meter.calls) == (2, 1, 1)
        assert meter.usage.seconds >= paid.seconds


def test_calls_of_many_prompts_count_in_the_callers_meter(make) -> None:
    with metered() as meter:
        make().complete_many(words(4), max_tokens=5)
    assert meter.calls == 4


def test_the_cap_stops_within_one_batch_and_keeps_what_was_answered(server, make) -> None:
    # The cap is reached with the 5th call; with 2 in flight at most one more was on its way.
    generator = make(cap_usd=5 * ONE_CALL - 1e-9)
    with pytest.raises(SpendCapError) as caught:
        generator.complete_many(words(20), max_tokens=5)
    asked = len(server.requests)
    assert 5 <= asked <= 6
    assert caught.value.code == "generator.cap_reached"
    assert generator.ledger.spent().calls == asked
    # Nothing kept is asked again, and the rest is.
    found = make(cap_usd=1.0).complete_many(words(20), max_tokens=5)
    assert [one.text for one in found] == [f"WORD{n}" for n in range(20)]
    assert len(server.requests) == 20


def test_the_cap_holds_for_single_calls_and_streams_and_not_for_kept_answers(make) -> None:
    generator = make()
    generator.complete(ask("kiln"), max_tokens=5)
    capped = make(cap_usd=0.001)
    with pytest.raises(SpendCapError):
        capped.complete(ask("loom"), max_tokens=5)
    with pytest.raises(SpendCapError):
        next(capped.stream(ask("loom"), max_tokens=5))
    assert capped.complete(ask("kiln"), max_tokens=5).reused


def test_a_killed_run_repeats_at_most_what_was_in_flight(server, make, tmp_path) -> None:
    path = tmp_path / "killed.sqlite"
    generator = make(ledger=CallLedger(path))
    reached, go_on, count = threading.Event(), threading.Event(), iter(range(1, 99))

    def hold():
        if next(count) > 7:  # the eighth call and those after it never come back in time
            reached.set()
            go_on.wait(60)

    server.hold = hold
    child = subprocess.Popen(
        [sys.executable, "-c", RUN, server.url, str(path)], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    assert reached.wait(120)
    # Two in flight: of the seven answers the last may still be on its way into the ledger.
    while generator.ledger.spent().calls < 6:
        time.sleep(0.01)
    child.kill()
    child.wait()
    go_on.set()
    server.hold = None
    kept = generator.ledger.spent().calls
    server.requests = []
    make(ledger=CallLedger(path)).complete_many(words(20), max_tokens=5)
    assert kept >= 6
    assert len(server.requests) == 20 - kept


def test_a_failed_call_is_entered_with_what_it_used_and_not_kept(server, make) -> None:
    generator = make()
    usage = {"prompt_tokens": 7, "completion_tokens": 0}
    server.faults = [says(200, {"model": MODEL, "choices": [], "usage": usage})] * 3
    with pytest.raises(GeneratorError):
        generator.complete(ask("kiln"), max_tokens=5)
    assert generator.ledger.spent().use == TokenUse(input=7)
    assert not generator.complete(ask("kiln"), max_tokens=5).reused


def test_that_no_answer_followed_the_schema_is_paid_once(server, make) -> None:
    generator, schema = make(json_schema="prompt"), {"type": "object"}
    # The simulator's capitals are never JSON: three answers for each prompt, then never again.
    for _ in range(2):
        with pytest.raises(GeneratorError) as caught:
            generator.complete_many(words(3), max_tokens=5, schema=schema)
        assert caught.value.code == "generator.invalid_json"
        assert len(server.requests) == 9
    with pytest.raises(GeneratorError) as alone:
        generator.complete(words(3)[2], max_tokens=5, schema=schema)
    assert alone.value.remedy == caught.value.remedy
    assert alone.value.use.output > 0
    assert len(server.requests) == 9
    assert generator.ledger.spent().calls == 3


def test_one_failure_among_many_keeps_the_others(server, make) -> None:
    generator = make(concurrency=1)
    server.faults = [None, None, says(500, refusal("fell over"))]
    with pytest.raises(GeneratorError):
        generator.complete_many(words(6), max_tokens=5)
    again = generator.complete_many(words(6), max_tokens=5)
    assert [one.reused for one in again][:2] == [True, True]


def test_a_stream_is_entered_when_it_ends_and_kept_in_one_piece(make) -> None:
    generator = make()
    *pieces, whole = generator.stream(ask("one two"), max_tokens=5)
    assert (pieces, whole.reused) == (["ONE", " TWO"], False)
    assert whole.usd > 0
    assert list(generator.stream(ask("one two"), max_tokens=5)) == [
        "ONE TWO",
        generator.complete(ask("one two"), max_tokens=5),
    ]
    assert generator.ledger.spent().calls == 1


def test_a_stream_that_its_reader_leaves_is_entered_as_cut(make) -> None:
    generator = make()
    stream = generator.stream(ask("one two three"), max_tokens=5)
    next(stream)
    stream.close()
    assert generator.ledger.spent().calls == 1
    assert generator.ledger.spent().use.output > 0
    assert not generator.complete(ask("one two three"), max_tokens=5).reused


def test_prompt_lengths_are_estimated_from_the_calls_so_far(make) -> None:
    generator = make()
    before = generator.count_tokens(ask("kiln"))
    generator.complete_many(words(20), max_tokens=5)
    # "Shout." and "word7" are 2 words in 11 or 12 characters
    assert before == 4 + 2 + 4 + 1
    assert generator.count_tokens(ask("word7")) == 2


def test_progress_counts_kept_and_fresh_answers(make) -> None:
    generator, seen = make(), []
    generator.complete_many(words(2), max_tokens=5)
    generator.complete_many(words(4), max_tokens=5, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(3, 4), (4, 4)]


def test_threads_share_one_ledger(make) -> None:
    generator = make(concurrency=8)
    threads = [
        threading.Thread(target=generator.complete_many, args=(words(10),), kwargs={"max_tokens": 5}) for _ in range(4)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    spent = generator.ledger.spent()
    assert spent.usd == pytest.approx(spent.calls * ONE_CALL)
    assert generator.ledger.month_usd() == pytest.approx(spent.usd)


def test_what_another_process_keeps_and_spends_is_noticed(server, make, monkeypatch) -> None:
    mine, path = make(cap_usd=1.5 * ONE_CALL), make().ledger.path
    mine.complete(ask("kiln"), max_tokens=5)
    other = make(ledger=CallLedger(path))  # a connection of its own, as another process has
    other.complete(ask("loom"), max_tokens=5)
    monkeypatch.setattr(call_ledger, "monotonic", lambda: time.monotonic() + call_ledger.REFRESH_S)
    assert mine.complete(ask("loom"), max_tokens=5).reused
    with pytest.raises(SpendCapError):
        mine.complete(ask("saw"), max_tokens=5)
    assert other.ledger.forget_answers() == 2
    assert mine.ledger.kept([]) == {}
    assert len(server.requests) == 2


def test_calls_cannot_be_changed_or_taken_out(make) -> None:
    generator = make()
    generator.complete(ask("kiln"), max_tokens=5)
    with sqlite3.connect(generator.ledger.path) as database:
        for statement in ("DELETE FROM calls", "UPDATE calls SET usd = 0"):
            with pytest.raises(sqlite3.IntegrityError, match="only added"):
                database.execute(statement)
    database.close()


def test_forgotten_answers_leave_no_text_and_keep_the_money(make) -> None:
    generator = make()
    generator.complete(ask("quicksilver"), max_tokens=5)
    assert generator.ledger.forget_answers() == 1
    files = generator.ledger.path.parent.glob("calls.sqlite*")
    assert not any(b"QUICKSILVER" in one.read_bytes() for one in files)
    assert generator.ledger.month_usd() == pytest.approx(ONE_CALL)
    assert not generator.complete(ask("quicksilver"), max_tokens=5).reused


def test_answers_are_kept_for_so_many_days_and_so_many_bytes(server, make) -> None:
    generator = make()
    for number in range(6):
        generator.complete(ask(f"word{number}"), max_tokens=40)
    count, size = generator.ledger.kept_answers()
    assert count == 6
    spent, most = generator.ledger.spent(), size // 6 * 4
    assert generator.ledger.give_up_answers(30, most, dry_run=True) == 2
    assert generator.ledger.kept_answers() == (6, size)
    assert generator.ledger.give_up_answers(30, most) == 2
    # The oldest went: they are paid again, the others are not.
    before = len(server.requests)
    for number in range(6):
        generator.complete(ask(f"word{number}"), max_tokens=40)
    assert len(server.requests) == before + 2
    in_a_month = datetime.now(UTC) + timedelta(days=31)
    assert generator.ledger.give_up_answers(32, 10**9, now=in_a_month) == 0
    assert generator.ledger.give_up_answers(30, 10**9, now=in_a_month) == 6
    assert generator.ledger.kept_answers() == (0, 0)
    assert generator.ledger.spent().calls == spent.calls + 2
    generator.ledger.close()
    assert b"WORD3" not in generator.ledger.path.read_bytes()


def test_prompts_are_kept_by_hash_alone(make) -> None:
    generator = make()
    generator.complete(ask("my secret question"), max_tokens=5)
    generator.ledger.close()
    assert b"secret" not in generator.ledger.path.read_bytes()


def test_a_damaged_ledger_is_told_as_such(make, tmp_path) -> None:
    path = tmp_path / "damaged.sqlite"
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreError) as caught:
        make(ledger=CallLedger(path)).complete(ask("kiln"), max_tokens=5)
    assert caught.value.code == "generator.ledger_damaged"


def test_the_state_says_what_is_wrong_without_a_call(server, tmp_path, monkeypatch) -> None:
    settings = {"kind": "openai", "base_url": server.url, "model": MODEL}
    assert generator_state(GeneratorSettings(**settings), tmp_path).problem is None
    assert generator_state(GeneratorSettings(), tmp_path) is None
    assert load_generator(GeneratorSettings(), tmp_path) is None
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    wrong = [
        ({"model": "ecko-1"}, "generator.unknown_model"),
        ({"base_url": "http://127.0.0.1:9/v1"}, "generator.unreachable"),
        ({"key_env": "NO_SUCH_KEY"}, "generator.no_key"),
        ({"kind": "transformers", "path": "nothing"}, "generator.no_model"),
    ]
    for more, code in wrong:
        problem = generator_state(GeneratorSettings(**{**settings, **more}), tmp_path).problem
        assert problem.code == code
        assert isinstance(problem, StoppedError)
    assert server.requests == []


def test_a_metered_generator_that_may_not_reuse_asks_every_time(server, make) -> None:
    generator = make()
    fresh = MeteredGenerator(generator.inner, generator.ledger, PRICE, reuse=False)
    answers = [fresh.complete(ask("kiln"), max_tokens=5) for _ in range(2)]
    assert all(isinstance(one, Completion) and not one.reused for one in answers)
    assert len(server.requests) == 2
