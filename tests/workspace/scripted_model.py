"""A simulated model for the tool library, behind the simulated server: it looks up what it says, and reads what it is shown."""

from __future__ import annotations

import csv
import json

from candidates.scripted_generator import fenced
from models.openai_simulator import simulator
from steelyard.components.grounding import sentences_of
from steelyard.metrics.answers import contains_answer
from steelyard.schema.generation import Message
from workspace.tiny import FILES, rows

__all__ = ["asks", "simulator"]

PRICES = "input_usd = 1.0\ncached_usd = 0.1\noutput_usd = 4.0"

ASKING = {
    "intent": ("majority", "zero-shot", "few-shot", "retrieved-few-shot"),
    "answer": ("rag-bm25", "no-context", "whole-corpus", "rag-generator"),
    "reply": ("template", "style-few-shot"),
}
"""A baseline of each component, and the candidates that ask."""


def asks(folder, state, *, more="", components=ASKING):
    """Set the simulated server as the generator of a tool library, and weigh few candidates; returns the folder."""
    settings = folder / "steelyard.toml"
    text = settings.read_text(encoding="utf-8")
    for component, names in components.items():
        listed = ", ".join(f'"{name}"' for name in names)
        text = text.replace(f"[components.{component}]\n", f"[components.{component}]\ncandidates = [{listed}]\n")
    server = f'kind = "openai"\nbase_url = "{state.url}"\nmodel = "echo-1"\ncontext_tokens = 100000\n'
    settings.write_text(
        f'{text}\n[models.generator]\n{server}{PRICES}\n{more}\n\n[corpus]\nstore = "memory"\n', encoding="utf-8"
    )
    state.answer_to = answer_to
    return folder


def answer_to(request):
    messages = [Message(role=one["role"], content=one["content"]) for one in request["messages"]]
    system = messages[0].content
    if "sort incoming" in system:
        return json.dumps(_label(fenced(messages, "message")[0]))
    if "answer questions" in system:
        return json.dumps(_answer(messages))
    return json.dumps(_reply(messages))


def _label(message):
    with (FILES / "messages.csv").open(encoding="utf-8") as file:
        labels = {row["text"]: row["label"] for row in csv.DictReader(file)}
    label = labels.get(message, "borrow")
    # Not always right, and less sure where it is not.
    wrong = len(message) % 7 == 0
    return {"label": "money" if wrong else label, "confidence": 55 if wrong else 95}


def _answer(messages):
    question = fenced(messages, "question")[0]
    answers = {row["question"]: row["answers"] for row in rows(FILES / "questions.jsonl")}.get(question, [])
    if "from numbered passages" not in messages[0].content:
        return {"answerable": False, "answer": ""}
    for number, body in enumerate(fenced(messages, "passage"), start=1):
        for sentence in sentences_of(body):
            if contains_answer(sentence, answers):
                return {"answerable": True, "sentences": [{"text": sentence, "passages": [number]}]}
    return {"answerable": False, "sentences": []}


def _reply(messages):
    system = messages[0].content
    first = fenced(messages, "approved reply")[0]
    if '"kind"' not in system:
        return {"reply": first}
    kind = messages[1].content.split(" of kind ")[1].splitlines()[0]
    return {"kind": kind, "reply": first}
