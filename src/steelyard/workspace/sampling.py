"""A few real calls before the many: what prompts, answers and waiting really come to, with the answers kept for the run that follows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from operator import attrgetter
from typing import Any

from steelyard.models.metered_generator import MeteredGenerator, spending_on
from steelyard.models.rehearsal import Asked
from steelyard.schema.errors import GeneratorError
from steelyard.schema.progress import Report

SAMPLED = 10
"""Prompts asked of each candidate. They are of the job itself and their answers are kept, so the job does not pay for them again."""

LONG_TOKENS, LONG_SAMPLED = 8_000, 4
"""A prompt of so many tokens is dear, and its cost is nearly all its own length, which few calls tell."""


def sample(generator: MeteredGenerator, waiting: Sequence[Asked], name: str, report: Report) -> int:
    """Ask some of `waiting`, spread evenly, and enter them as `sample` of candidate `name`; how many calls that made.

    The first is asked alone, so that a provider which keeps the beginnings of prompts has it before the others come.

    Raises:
        StoppedError: no call can succeed: no key, no server, the spend cap.
    """
    if not waiting:
        return 0
    long = generator.count_tokens(waiting[len(waiting) // 2].messages) > LONG_TOKENS
    most = min(len(waiting), LONG_SAMPLED if long else SAMPLED)
    chosen = [waiting[len(waiting) * at // most] for at in range(most)]
    done = 0
    for purpose, group in _groups(generator, chosen, name):
        with spending_on(purpose):
            _ask(generator, group)
        done += len(group)
        report(f"sample {name}", done, most)
    return most


def sampled_as(name: str, *, together: bool = False) -> str:
    """What the calls of a sample are entered as."""
    return f"sample {name}{' in batches' if together else ''}"


def _groups(generator: MeteredGenerator, chosen: Sequence[Asked], name: str) -> Iterator[tuple[str, Sequence[Asked]]]:
    """What is asked together, in order, and what it is entered as.

    Of a local model a third is asked one by one, as a measurement asks, and the rest together, as a calibration does, which is faster.
    """
    alone = 1 + (len(chosen) // 3 if getattr(generator.inner, "answers_in_batches", False) else 0)
    for one in chosen[:alone]:
        yield sampled_as(name), [one]
    for _, same in groupby(chosen[alone:], key=attrgetter("max_tokens", "schema")):
        yield sampled_as(name, together=alone > 1), list(same)


def _ask(generator: MeteredGenerator, group: Sequence[Asked]) -> None:
    asked: dict[str, Any] = {"max_tokens": group[0].max_tokens, "schema": group[0].schema}
    try:
        generator.complete_many([one.messages for one in group], **asked)
    except GeneratorError:
        # Which one it was is not said. Each that failed is in the ledger with what it used, and that is what a sample is for.
        for one in group:
            with suppress(GeneratorError):
                generator.complete(one.messages, **asked)
