"""Asks every fact's question, and says what an answer takes: seconds of a core, and money for a generator."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from time import perf_counter

from steelyard.candidates.interface import Candidate
from steelyard.evaluation.dated import DatedFact
from steelyard.schema.ageing import AgedAnswer
from steelyard.schema.errors import SteelyardError, StoppedError
from steelyard.schema.outputs import Output, Request
from steelyard.schema.scope import Scope

TIMED_QUESTIONS = 12
"""Questions asked once more, of the first step and with nothing remembered, for the seconds of an answer as a server would need them."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """Answers in the order of the facts, and the mean money that a generator's calls cost for one, USD."""

    answers: tuple[AgedAnswer, ...]
    usd: float


def ask_all(candidate: Candidate, facts: Sequence[DatedFact], at_once: int = 1) -> Told:
    """Every fact's question to one candidate, `at_once` of them at the same time.

    What fails is handed over, as in service: it counts as declined.

    Raises:
        StoppedError: a generator cannot be called until the user acts.
    """
    if at_once == 1:
        outputs = [_ask(candidate, fact) for fact in facts]
    else:
        with ThreadPoolExecutor(at_once, "steelyard-replay") as pool:
            # In the context of the caller, so that what a generator spends is booked where the caller says.
            waiting = [pool.submit(copy_context().run, _ask, candidate, fact) for fact in facts]
            outputs = [each.result() for each in waiting]
    answers = tuple(
        AgedAnswer(fact=fact.name, text="" if said.abstained else said.text, abstained=said.abstained)
        for fact, said in zip(facts, outputs, strict=True)
    )
    return Told(answers=answers, usd=sum(said.usage.usd for said in outputs) / max(1, len(outputs)))


def seconds_of(candidate: Candidate, facts: Sequence[DatedFact]) -> float:
    """The mean seconds that an answer keeps a core busy, asked one after the other; without the wait for a generator."""
    asked = facts[:TIMED_QUESTIONS]
    ask_all(candidate, asked[:1])  # the first answer loads what all others find in memory
    busy = 0.0
    for fact in asked:
        begin = perf_counter()
        said = _ask(candidate, fact)
        busy += max(0.0, perf_counter() - begin - said.usage.generator_s)
    return busy / max(1, len(asked))


def _ask(candidate: Candidate, fact: DatedFact) -> Output:
    try:
        return candidate.predict(Request(text=fact.text), Scope(groups=fact.groups))
    except StoppedError:
        raise
    except SteelyardError:
        return Output(abstained=True)
