"""One component's facts with what follows from them at once: the kind of need, the approaches in question, the money."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from types import MappingProxyType

from steelyard.decision.money import Money
from steelyard.schema.decision import APPROACHES, CriterionKind, Facts
from steelyard.schema.items import Approach

PROMPT_CORPUS_TOKENS = 200_000
"""A corpus up to here fits a cached prompt; vendors' guidance on contextual retrieval puts the limit there."""

CONTEXT_TOKENS = 400_000
"""Beyond this a prompt exceeds what hosted models take or still read well."""

MEMORISED_TOKENS = 20_000
"""Knowledge that small can ride along with a style, a format or a label set; it does not ask for retrieval by itself."""

MONTHLY, QUARTERLY = 12.0, 4.0

FEW_LABELS, SOME_LABELS, ENOUGH_LABELS = 50, 200, 500
"""Under the first nothing can be tuned; classification pays between the second and the third."""

TONE_LABELS = 100
"""A tone pays from here."""

LATENCY_WEIGHTS = ((100.0, 0.9), (200.0, 0.75), (300.0, 0.5), (500.0, 0.2), (1000.0, 0.0))
"""Embedding, search and a longer prompt take 100 to 500 ms around a generating model."""

NO_PUSHES: Mapping[Approach, float] = MappingProxyType({})
NO_EXCLUSIONS: Mapping[Approach, str] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Opinion:
    """What one rule says of one case.

    `pushes` add to the approaches' scores (negative: against); `excludes` gives the reason per approach that cannot be chosen.
    `argues_for` and `weight` are what is shown. `kind` None is the criterion's own.
    """

    argues_for: str
    weight: float
    because: str
    pushes: Mapping[Approach, float] = field(default_factory=lambda: NO_PUSHES)
    excludes: Mapping[Approach, str] = field(default_factory=lambda: NO_EXCLUSIONS)
    kind: CriterionKind | None = None


@dataclass(frozen=True)
class Case:
    """Facts and the money that follows from them; what every rule reads."""

    facts: Facts
    money: Money

    @cached_property
    def teaches_behaviour(self) -> bool:
        """Whether a style, a format or a labelling scheme is wanted."""
        return self.facts.behaviour in ("style", "format", "classification", "mixed")

    @cached_property
    def needs_knowledge(self) -> bool:
        """Whether answers rest on knowledge that is looked up, not on the request alone."""
        facts = self.facts
        if facts.behaviour in ("facts", "mixed", None):
            return True
        if facts.needs_citations:
            return True  # what is cited has to be looked up, whatever the form around it
        corpus = facts.corpus_tokens or 0.0
        guarded = facts.needs_audit or facts.per_user_scoping or facts.needs_erasure
        return corpus > 0 and (bool(guarded) or corpus > MEMORISED_TOKENS)

    @cached_property
    def needs_both(self) -> bool:
        """Whether one component must look up facts and keep to a behaviour."""
        return self.teaches_behaviour and self.needs_knowledge

    @cached_property
    def cites(self) -> bool:
        """Whether knowledge is looked up whose source must be shown or proved."""
        return self.needs_knowledge and bool(self.facts.needs_citations or self.facts.needs_audit)

    @cached_property
    def fits_prompt(self) -> bool:
        """Whether all knowledge and examples fit one prompt."""
        return self.prompt_tokens <= PROMPT_CORPUS_TOKENS

    @cached_property
    def prompt_tokens(self) -> float:
        """Tokens that an approach without retrieval or tuning sends with each request."""
        return (self.facts.corpus_tokens or 0.0) + (self.facts.prompt_examples_tokens or 0.0)

    @cached_property
    def approaches(self) -> tuple[Approach, ...]:
        """The approaches in question, simplest first.

        Prompt and tuning always, retrieval where something is looked up or the behaviour changes monthly, both together where
        both are needed; and whatever was measured.
        """
        wanted: set[Approach] = {"prompt", "fine_tune", *self.scores}
        if self.needs_knowledge or (self.facts.knowledge_update_per_year or 0.0) >= MONTHLY:
            wanted.add("rag")
        if self.needs_both:
            wanted.add("hybrid")
        return tuple(approach for approach in APPROACHES if approach in wanted)

    @cached_property
    def priced(self) -> tuple[Approach, ...]:
        """The approaches in question that exist at all: a prompt beyond every context is not one, so its price says nothing."""
        possible = self.prompt_tokens <= CONTEXT_TOKENS or "prompt" in self.scores
        return tuple(approach for approach in self.approaches if approach != "prompt" or possible)

    @cached_property
    def scores(self) -> Mapping[Approach, float]:
        """The pilot's scores; empty without a pilot."""
        return self.facts.measured.scores if self.facts.measured else {}

    def meets(self, approach: Approach) -> bool | None:
        """Whether a measured approach reaches the target; None when it was not measured or there is no target."""
        pilot = self.facts.measured
        if pilot is None or pilot.target is None or approach not in pilot.scores:
            return None
        score = pilot.scores[approach]
        return score <= pilot.target if pilot.lower_is_better else score >= pilot.target

    def works(self, approach: Approach) -> bool:
        """Whether a measurement speaks for the approach: it was measured and reaches the target, if there is one."""
        return approach in self.scores and self.meets(approach) is not False

    @cached_property
    def someone_works(self) -> bool:
        """Whether any approach was measured and reaches a target."""
        return any(self.meets(approach) for approach in self.scores)

    @cached_property
    def best_without_tuning(self) -> Approach:
        """The way to go on without tuning: retrieval where something is looked up, else a prompt."""
        return "rag" if self.needs_knowledge and not (self.fits_prompt and not self.guarded) else "prompt"

    @cached_property
    def guarded(self) -> bool:
        """Whether a hard requirement asks for retrieval."""
        return self.cites or (self.needs_knowledge and bool(self.facts.per_user_scoping))


def between(value: float, points: tuple[tuple[float, float], ...]) -> float:
    """`value` read off a line through `points` on a logarithmic scale; flat outside.

    >>> round(between(100.0, ((10.0, 0.0), (1000.0, 1.0))), 6)
    0.5
    """
    if value <= points[0][0]:
        return points[0][1]
    for (left, low), (right, high) in pairwise(points):
        if value <= right:
            share = (math.log(value) - math.log(left)) / (math.log(right) - math.log(left))
            return low + share * (high - low)
    return points[-1][1]
