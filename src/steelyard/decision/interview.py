"""The interview: three questions first, then only what can still change the verdict."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from steelyard.decision.facts import FIELDS, facts_from_json
from steelyard.decision.unknowns import THREE_QUESTIONS, effects, known, missing
from steelyard.schema.decision import Behaviour, Facts, TeamSkills
from steelyard.schema.errors import FactsError, nearest

YES, NO = frozenset({"y", "yes", "true", "ja", "oui", "si"}), frozenset({"n", "no", "false", "nein", "non"})
UNSURE = frozenset({"", "?", "unknown", "don't know", "dont know", "no idea", "skip"})

SIZES: Mapping[str, float] = {
    "": 1.0,
    "k": 1e3,
    "thousand": 1e3,
    "m": 1e6,
    "million": 1e6,
    "b": 1e9,
    "bn": 1e9,
    "billion": 1e9,
}

RATES: Mapping[str, float] = {
    "never": 0.0,
    "yearly": 1.0,
    "annually": 1.0,
    "once a year": 1.0,
    "twice a year": 2.0,
    "quarterly": 4.0,
    "monthly": 12.0,
    "weekly": 52.0,
    "daily": 365.0,
    "hourly": 8760.0,
}

HINTS: Mapping[str, str] = {
    "number": "a number such as 120000, 120k or 2.5M; Enter if you do not know",
    "whole": "a number such as 3000 or 3k; Enter if you do not know",
    "flag": "yes or no; Enter if you do not know",
    "behaviour": "facts, style, format, classification or mixed; Enter if you do not know",
    "skills": "models, retrieval, both or neither; Enter if you do not know",
}

_NUMBER = re.compile(r"(\d[\d,_ ]*(?:\.\d+)?|\.\d+)\s*([a-z]*)")


@dataclass
class Interview:
    """Asks in order and remembers what was left open; `facts` holds what is known so far."""

    facts: Facts = field(default_factory=Facts)
    left_open: set[str] = field(default_factory=set)

    def next_question(self) -> str | None:
        """The fact to ask for next; None when nothing that is unknown, and not left open before, can change the verdict."""
        gaps = [key for key in missing(self.facts) if key not in self.left_open]
        for key in THREE_QUESTIONS:
            if key in gaps:
                return key
        if not gaps:
            return None
        found = {key: share for key, share in effects(self.facts).items() if key in gaps}
        return max(found, key=lambda key: found[key]) if found else None

    def answer(self, key: str, text: str) -> None:
        """Take one answer; an empty one leaves the fact open.

        Raises:
            FactsError: the answer cannot be understood, or is out of bounds.
        """
        value = understood(key, text)
        if value is None:
            self.left_open.add(key)
            return
        if isinstance(value, TeamSkills):
            self.facts = known(self.facts, key, value)
            return
        checked = facts_from_json({key: value}, where="answer").components[0]
        self.facts = known(self.facts, key, getattr(checked, key))


def hint(key: str) -> str:
    """What an answer to the question may look like."""
    if key == "knowledge_update_per_year":
        return "a number, or never, yearly, quarterly, monthly, weekly, daily; Enter if you do not know"
    return HINTS[FIELDS[key].kind]


def understood(key: str, text: str) -> Any:
    """The value an answer means; None for "do not know".

    >>> understood("queries_per_month", "2.5M"), understood("knowledge_update_per_year", "weekly"), understood("needs_audit", "n")
    (2500000.0, 52.0, False)

    Raises:
        FactsError: the answer cannot be understood; the remedy says what would be.
    """
    said = " ".join(text.strip().lower().split())
    if said in UNSURE:
        return None
    kind = FIELDS[key].kind
    if kind == "flag":
        if said in YES | NO:
            return said in YES
    elif kind == "behaviour":
        near = nearest(said, get_args(Behaviour))
        if near:
            return near[0]
    elif kind == "skills":
        found = _skills(said)
        if found is not None:
            return found
    elif key == "knowledge_update_per_year" and said in RATES:
        return RATES[said]
    else:
        number = _number(said)
        if number is not None:
            return number
    raise FactsError(
        "this answer is not understood.", where=key, remedy=f"Answer with {hint(key)}.", code="facts.answer"
    )


def _number(said: str) -> float | None:
    match = _NUMBER.fullmatch(said)
    if match is None or match.group(2) not in SIZES:
        return None
    return float(re.sub(r"[,_ ]", "", match.group(1))) * SIZES[match.group(2)]


def _skills(said: str) -> TeamSkills | None:
    answers = {
        "models": (True, False), "model": (True, False), "mlops": (True, False),
        "retrieval": (False, True), "ir_ops": (False, True), "search": (False, True),
        "both": (True, True), "neither": (False, False), "none": (False, False), "no": (False, False),
    }  # fmt: skip
    if said not in answers:
        return None
    mlops, ir_ops = answers[said]
    return TeamSkills(mlops=mlops, ir_ops=ir_ops)
