"""Candidates that ask a generator are replayed as well, through the real client against a simulated server, and paid for."""

from __future__ import annotations

import json
import re

import pytest

from candidates.scripted_generator import fenced
from evaluation.planted_worlds import TOWNS as ALL_TOWNS
from models.openai_simulator import simulator
from steelyard.components.grounding import sentences_of
from steelyard.models.call_ledger import CallLedger
from steelyard.schema.errors import UserError
from steelyard.schema.generation import Message
from steelyard.workspace import Workspace
from steelyard.workspace.backtesting import BacktestPlan

TOWNS = ALL_TOWNS[:15]
TOPICS = ("opening fee", "seat limit")
MONTHS = ("2025-01-01", "2025-02-01", "2025-03-01")
CHANGED = 2
PRICES = "input_usd = 1.0\ncached_usd = 0.1\noutput_usd = 4.0"
SETTINGS = """[workspace]
name = "offices"
[[sources]]
path = "docs"
allow = ["everyone"]
[components.answer]
task = "answer"
questions = "questions.jsonl"
[models.generator]
kind = "openai"
base_url = "{url}"
model = "echo-1"
context_tokens = {tokens}
"""


def value(place, topic, step):
    return 100 + 40 * place + 7 * topic + (1000 if step >= CHANGED and place % 2 == 0 else 0)


def offices(folder, url, tokens=100_000):
    rows = []
    for step, month in enumerate(MONTHS):
        for place, town in enumerate(TOWNS):
            path = folder / "past" / month / f"{town.lower()}.md"
            path.parent.mkdir(parents=True, exist_ok=True)
            said = [f"The {name} of the {town} office is {value(place, at, step)}." for at, name in enumerate(TOPICS)]
            path.write_text(f"# Office in {town}\n\n" + "\n\n".join(said) + "\n")
    for place, town in enumerate(TOWNS):
        for topic, name in enumerate(TOPICS):
            spans = [(0, CHANGED), (CHANGED, None)] if place % 2 == 0 else [(0, None)]
            rows += [
                {
                    "question": f"What is the {name} of the {town} office?",
                    "answers": [str(value(place, topic, begin))],
                    "source": f"docs/{town.lower()}.md",
                    "valid_from": MONTHS[begin],
                    "valid_to": MONTHS[end] if end else None,
                    "fact": f"{town}-{topic}",
                }
                for begin, end in spans
            ]
    (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "steelyard.toml").write_text(SETTINGS.format(url=url, tokens=tokens) + PRICES + "\n")
    return folder


def answer_to(request):
    """A model that reads: it says the sentence of the passages with the topic and the town of the question."""
    messages = [Message(role=one["role"], content=one["content"]) for one in request["messages"]]
    question = fenced(messages, "question")[0]
    if "from numbered passages" not in messages[0].content:
        return json.dumps({"answerable": False, "answer": ""})
    asked = re.search(r"the (.+) of the (\w+) office", question)
    for number, body in enumerate(fenced(messages, "passage"), start=1):
        for sentence in sentences_of(body):
            if f"The {asked[1]} of the {asked[2]} office" in sentence:
                return json.dumps({"answerable": True, "sentences": [{"text": sentence, "passages": [number]}]})
    return json.dumps({"answerable": False, "sentences": []})


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    with simulator() as state:
        state.answer_to = answer_to
        folder = offices(tmp_path_factory.mktemp("asked"), state.url)
        named = ("rag-bm25", "rag-generator", "whole-corpus", "no-context", "closed-book")
        plan = BacktestPlan(histories={"docs": folder / "past"}, candidates=named)
        yield folder, Workspace(folder).backtest(plan)


def test_a_prompt_with_the_corpus_follows_every_change_and_never_goes_stale(found):
    _, replayed = found
    assert replayed.approaches["whole-corpus"] == "prompt"
    for name in ("whole-corpus", "rag-generator"):
        assert [step.accuracy.mean for step in replayed.of(name)] == [1.0, 1.0, 1.0]
        assert max(step.stale.mean for step in replayed.of(name)) == 0.0
    assert max(step.accuracy.mean for step in replayed.of("no-context")) == 0.0
    assert replayed.of("closed-book (never)")[-1].stale.mean > 0.3


def test_what_the_calls_cost_is_in_the_bill_and_in_the_ledger(found):
    folder, replayed = found
    ledger = CallLedger(folder / ".steelyard" / "calls.sqlite")
    try:
        assert ledger.spent("backtest answer").calls > 100
    finally:
        ledger.close()
    kept = next((folder / ".steelyard" / "backtest" / "answer").glob("*/answers"))
    usd = {
        name: json.loads(next(iter((kept / name).glob("2*.json"))).read_text())["usd"]
        for name in replayed.approaches
        if "(" not in name
    }
    # All documents in every prompt cost more than six passages, and those more than the question alone; quoting asks nobody.
    assert usd["whole-corpus"] > usd["rag-generator"] > usd["no-context"] > usd["rag-bm25"] == 0


def test_a_corpus_that_does_not_fit_the_prompt_is_left_out_and_the_rest_goes_on(tmp_path):
    with simulator() as state:
        state.answer_to = answer_to
        folder = offices(tmp_path / "w", state.url, tokens=1000)
        plan = BacktestPlan(histories={"docs": folder / "past"}, candidates=("rag-bm25", "whole-corpus", "closed-book"))
        replayed = Workspace(folder).backtest(plan)
    assert "tokens with room for the answer" in replayed.left_out["whole-corpus"]
    assert replayed.to_json()["left_out"].keys() == {"whole-corpus"}
    assert "rag-bm25" in replayed.candidates
    assert any("whole-corpus is left out" in sentence for sentence in replayed.sentences)


def test_a_candidate_of_another_task_or_of_a_provider_is_refused(found):
    folder, _ = found
    for name, why in (("linear", "it is for 'classify'"), ("hosted-closed-book", "paid for a tuning at every step")):
        with pytest.raises(UserError, match=re.escape(why)):
            Workspace(folder).backtest(BacktestPlan(histories={"docs": folder / "past"}, candidates=(name,)))
