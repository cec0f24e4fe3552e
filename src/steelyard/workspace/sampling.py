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
from steelyard.workspace.pacing import taken_by

SAMPLED = 10
"""Prompts asked of each candidate at least. They are of the job itself and their answers are kept, so the job does not pay again."""

SURE = 0.04
"""Standard error of a call's seconds and USD, as a part of them, at which a sample of a server ends."""

MOST_SHARE, MOST = 0.25, 100
"""A sample that is not sure yet ends at this part of a job's calls, and at so many."""

GOLDEN_RATIO = (1 + 5**0.5) / 2

LONG_TOKENS, LONG_SAMPLED = 8_000, 4
"""A prompt of so many tokens is dear and slow where a local model reads it; a few tell."""


def sample(generator: MeteredGenerator, waiting: Sequence[Asked], name: str, report: Report) -> int:
    """Ask some of `waiting`, spread evenly, and enter them as `sample` of candidate `name`; how many calls that made.

    A server is asked with as many calls in flight as it will have in the job, until their mean seconds and USD are known well enough; 0
    where earlier calls tell them. The first is asked alone, so that a provider which keeps the beginnings of prompts has it before the
    others come.

    Raises:
        StoppedError: no call can succeed: no key, no server, the spend cap.
    """
    purposes = (f"train {name}", f"weigh {name}", sampled_as(name), sampled_as(name, together=True))
    before = sum(generator.ledger.spent(one).calls for one in purposes)
    if getattr(generator.inner, "answers_in_batches", False):
        return 0 if before >= min(SAMPLED, len(waiting)) else _sample_locally(generator, waiting, name, report)
    enough = max(SAMPLED, min(MOST, round((before + len(waiting)) * MOST_SHARE)))
    chosen = _spread(waiting)[: max(0, enough - before)]
    done, size = 0, 1
    while done < len(chosen) and taken_by(generator.ledger, purposes).error > SURE:
        group = chosen[done : done + size]
        with spending_on(sampled_as(name)):
            _ask(generator, group)
        done, size = done + len(group), max(SAMPLED - 1, 2 * generator.batch)
        report(f"sample {name}", done, len(chosen))
    return done


def _sample_locally(generator: MeteredGenerator, waiting: Sequence[Asked], name: str, report: Report) -> int:
    """Of a local model a third is asked one by one, as a measurement asks, and the rest together, as a calibration does: that is faster."""
    if not waiting:
        return 0
    long = generator.count_tokens(waiting[len(waiting) // 2].messages) > LONG_TOKENS
    most = min(len(waiting), LONG_SAMPLED if long else SAMPLED)
    chosen = [waiting[len(waiting) * at // most] for at in range(most)]
    alone = 1 + most // 3
    done = 0
    for together, group in [(False, [one]) for one in chosen[:alone]] + [(True, chosen[alone:])]:
        with spending_on(sampled_as(name, together=together)):
            _ask(generator, group)
        done += len(group)
        report(f"sample {name}", done, most)
    return most


def _spread(waiting: Sequence[Asked]) -> list[Asked]:
    """All of them in an order of which every beginning is spread evenly over them.

    By the fractional parts of the multiples of the golden ratio: those below a bound are evenly apart (Weyl, 1916).
    """
    order = sorted(range(len(waiting)), key=lambda at: at * GOLDEN_RATIO % 1.0)
    return [waiting[at] for at in order]


def sampled_as(name: str, *, together: bool = False) -> str:
    """What the calls of a sample are entered as."""
    return f"sample {name}{' in batches' if together else ''}"


def _ask(generator: MeteredGenerator, asked: Sequence[Asked]) -> None:
    for (max_tokens, schema), group in _alike(asked):
        try:
            generator.complete_many([one.messages for one in group], max_tokens=max_tokens, schema=schema)
        except GeneratorError:
            # Which one it was is not said. Each that failed is in the ledger with what it used, and that is what a sample is for.
            for one in group:
                with suppress(GeneratorError):
                    generator.complete(one.messages, max_tokens=max_tokens, schema=schema)


def _alike(asked: Sequence[Asked]) -> Iterator[tuple[tuple[int, Any], list[Asked]]]:
    """What can be handed over together: neighbours with the same room for an answer and the same form."""
    for form, group in groupby(asked, key=attrgetter("max_tokens", "schema")):
        yield form, list(group)
