"""What prompted answers ask for and learn from: the form of an answer, and sentences that passages say or do not say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from steelyard.components.grounding import Claim
from steelyard.metrics.answers import contains_answer
from steelyard.schema.corpus import Hit
from steelyard.schema.items import Item

GROUNDED: dict[str, Any] = {
    "type": "object",
    "properties": {
        "answerable": {"type": "boolean"},
        "sentences": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"text": {"type": "string"}, "passages": {"type": "array", "items": {"type": "integer"}}},
                "required": ["text", "passages"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["answerable", "sentences"],
    "additionalProperties": False,
}

REMEMBERED: dict[str, Any] = {
    "type": "object",
    "properties": {"answerable": {"type": "boolean"}, "answer": {"type": "string"}},
    "required": ["answerable", "answer"],
    "additionalProperties": False,
}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question with what it was answered from and what came back; `claims` None: nothing of the form that was asked for."""

    question: str
    hits: Sequence[Hit]
    claims: tuple[Claim, ...] | None


def evidence_pairs(
    items: Sequence[Item], asked: Sequence[Asked]
) -> tuple[list[tuple[str, Hit]], list[tuple[str, Hit]]]:
    """Sentences with a passage that says them, and sentences with a passage that does not."""
    said: list[tuple[str, Hit]] = []
    answers: list[str] = []
    for item, one in zip(items, asked, strict=True):
        holding = [hit for hit in one.hits if contains_answer(hit.passage.text, item.answers)]
        for claim in one.claims or ():
            answer = next((answer for answer in item.answers if answer and answer in claim.text), None)
            if item.answerable and holding and answer is not None:
                said.append((claim.text, holding[0]))
                answers.append(answer)
    not_said: list[tuple[str, Hit]] = []
    for at, (text, hit) in enumerate(said):
        other = (at + 1) % len(said)
        wrong = text.replace(answers[at], answers[other])
        if answers[other].lower() not in hit.passage.text.lower():
            not_said.append((wrong, hit))
        if answers[at].lower() not in said[other][1].passage.text.lower():
            not_said.append((text, said[other][1]))
    return said, not_said
