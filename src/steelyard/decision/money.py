"""What each approach costs under the facts of one component: draws over everything the facts do not say."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from steelyard.decision.ranges import DRAWS_BEHIND, LABEL_OUTPUT_TOKENS, LONG_OUTPUT_TOKENS, WIDE
from steelyard.economics.sampling import quantile, total_draws, uncertain_inputs
from steelyard.schema.decision import APPROACHES, Facts, Pilot
from steelyard.schema.economics import Range, Scenario
from steelyard.schema.items import Approach

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

DRAWS = 2048
"""Enough for shares to two digits; every pricing uses the same draws, so a flip search sees no noise between its steps."""

SEED = 20261101

HORIZON_MONTHS = 24

WRONG_ANSWER_USD = Range(low=0.01, high=0.5)
"""What one wrong answer costs where the facts do not say: a shrug to a call to support."""

PILOT_ITEMS = 500
"""How many items a pilot scored where it does not say; it sets how far a small difference is believed."""

SHARED_WORK = 0.8
"""What both ways need is built once: a hybrid takes four fifths of the hours of the two together."""

MAX_COST_USD = 1e18


class _Totals(Mapping[Approach, "Vector"]):
    """Totals by approach, made when first asked for: most cases have two or three approaches in question, not four."""

    def __init__(self, values: Mapping[str, Vector]) -> None:
        self._values = values
        self._made: dict[Approach, Vector] = {}

    def __getitem__(self, approach: Approach) -> Vector:
        if approach not in self._made:
            totals = total_draws(_alone(approach), self._values)[0]
            self._made[approach] = np.minimum(totals, MAX_COST_USD)
        return self._made[approach]

    def __iter__(self) -> Iterator[Approach]:
        return iter(APPROACHES)

    def __len__(self) -> int:
        return len(APPROACHES)


@lru_cache(maxsize=8)
def _alone(approach: Approach) -> Scenario:
    """The scenario with one option: draws are shared by name, so options priced apart are still compared draw by draw."""
    return replace(WIDE, options=tuple(option for option in WIDE.options if option.approach == approach))


@dataclass(frozen=True, eq=False)
class Money:
    """Totals over the horizon in USD, (draws,) per approach; draws are shared, so approaches are compared pairwise."""

    totals: Mapping[Approach, Vector]
    example_tokens_usd: Vector

    def mean_usd(self, approach: Approach) -> float:
        """Expected total of one approach, USD."""
        return float(self.totals[approach].mean())

    def p_cheaper(self, first: Approach, second: Approach) -> float:
        """Share of draws in which `first` costs less than `second`."""
        return float((self.totals[first] < self.totals[second]).mean())

    def p_cheapest(self, among: Iterable[Approach]) -> dict[Approach, float]:
        """Share of draws in which each of `among` is the cheapest; sums to 1, in the order of `APPROACHES`."""
        names = [approach for approach in APPROACHES if approach in set(among)]
        if not names:
            return {}
        best = np.argmin(np.stack([self.totals[name] for name in names]), axis=0)
        return {name: float((best == place).mean()) for place, name in enumerate(names)}

    def evpi_usd(self, among: Iterable[Approach]) -> float:
        """What knowing every price and hour in advance would be worth, USD: the least expected regret among `among`."""
        names = list(among)
        if not names:
            return 0.0
        stacked = np.stack([self.totals[name] for name in names])
        return float(stacked.mean(axis=1).min() - stacked.min(axis=0).mean())

    def p_examples_exceed(self, approach: Approach) -> float:
        """Share of draws in which sending the prompt's examples alone costs more than everything `approach` costs."""
        return float((self.example_tokens_usd > self.totals[approach]).mean())


def price(facts: Facts) -> Money:
    """Totals of all four approaches for facts without gaps in volume, update rate and sizes (a gap counts as 0)."""
    return _price(
        queries=facts.queries_per_month or 0.0,
        updates=facts.knowledge_update_per_year or 0.0,
        corpus=facts.corpus_tokens or 0.0,
        examples=facts.examples_count or 0.0,
        prompt_tokens=(facts.prompt_examples_tokens or 0.0) + prompt_corpus(facts),
        example_tokens=facts.prompt_examples_tokens or 0.0,
        output=LABEL_OUTPUT_TOKENS if facts.behaviour == "classification" else LONG_OUTPUT_TOKENS,
        horizon=facts.horizon_months or HORIZON_MONTHS,
        wrong_usd=facts.wrong_answer_usd,
        errors=error_rates(facts.measured),
        items=(facts.measured.items if facts.measured else None) or PILOT_ITEMS,
    )


def prompt_corpus(facts: Facts) -> float:
    """Tokens of knowledge that an approach without retrieval sends with every request."""
    return facts.corpus_tokens or 0.0


def error_rates(pilot: Pilot | None) -> tuple[tuple[Approach, float], ...]:
    """Share of wrong answers per approach that a pilot measured; empty where its metric is no share.

    An approach that was not measured is priced at the mean of those that were: money must not punish or reward silence.
    """
    if pilot is None or not pilot.scores:
        return ()
    top = max((*pilot.scores.values(), pilot.target or 0.0))
    scale = 1.0 if top <= 1 else 100.0
    if top > 100 or any(word in pilot.metric.lower() for word in ("latency", "p95", " ms", "second", "usd", "cost")):
        return ()
    wrong = {
        name: score / scale if pilot.lower_is_better else 1 - score / scale for name, score in pilot.scores.items()
    }
    middle = sum(wrong.values()) / len(wrong)
    return tuple((approach, wrong.get(approach, middle)) for approach in APPROACHES)


@lru_cache(maxsize=4096)
def _price(
    *,
    queries: float,
    updates: float,
    corpus: float,
    examples: float,
    prompt_tokens: float,
    example_tokens: float,
    output: float,
    horizon: float,
    wrong_usd: float | None,
    errors: tuple[tuple[Approach, float], ...],
    items: int,
) -> Money:
    drawn = _drawn()
    # A cache that goes cold between bursts is paid for as fresh input.
    hit_rate = queries / (queries + drawn["cache.cold_queries"]) * drawn["cache.steady_share"]
    facts = {
        "queries_per_month": queries,
        "updates_per_year": updates,
        "horizon_months": horizon,
        "corpus_tokens": corpus,
        "prompt_tokens": prompt_tokens,
        "output_tokens": output,
    }
    values = drawn | {f"fact.{name}": np.asarray(float(value)) for name, value in facts.items()}
    if wrong_usd is not None:
        values["fact.wrong_answer_usd"] = np.asarray(wrong_usd)
    for approach, rate in errors:
        values[f"fact.error.{approach}"] = _errors(approach, rate, items)
    values["derived.cache_hit_rate"] = hit_rate
    values["derived.labels_missing"] = np.maximum(drawn["fine_tune.labels"] - examples, 0.0)
    sent = (
        queries
        * horizon
        * example_tokens
        * (hit_rate * drawn["derived.cached_price"] + (1 - hit_rate) * drawn["price.input"])
        / 1e6
    )
    return Money(
        totals=_Totals(values),
        example_tokens_usd=np.broadcast_to(sent, (DRAWS,)),
    )


def _errors(approach: str, rate: float, items: int) -> Vector:
    """The error rate with the doubt that a pilot of so many items leaves: normal, clipped to 0..1."""
    spread = (max(rate * (1 - rate), 0.0) / items) ** 0.5
    noisy: Vector = np.clip(rate + spread * _stream(f"error.{approach}").standard_normal(DRAWS), 0.0, 1.0)
    return noisy


@lru_cache(maxsize=1)
def _drawn() -> dict[str, Vector]:
    """Draws of every uncertain input by name, and the prices and hours that follow from them."""
    ranges = uncertain_inputs(WIDE) | DRAWS_BEHIND | {"fact.wrong_answer_usd": WRONG_ANSWER_USD}
    drawn = {name: quantile(span, _stream(name).random(DRAWS)) for name, span in ranges.items()}
    price_in = drawn["price.input"]
    tuned = price_in * drawn["price.tuned_factor"]
    return drawn | {
        "derived.output_price": price_in * drawn["price.output_factor"],
        "derived.cached_price": price_in * drawn["price.cached_factor"],
        "derived.tuned_price": tuned,
        "derived.tuned_output_price": tuned * drawn["price.output_factor"],
        "derived.hybrid_setup_hours": SHARED_WORK * (drawn["rag.setup_hours"] + drawn["fine_tune.setup_hours"]),
        "derived.hybrid_operations_hours": SHARED_WORK
        * (drawn["rag.operations_hours"] + drawn["fine_tune.operations_hours"]),
    }


def _stream(name: str) -> np.random.Generator:
    """A stream of its own per input, so that another input's arrival moves no draw."""
    return np.random.default_rng([SEED, zlib.crc32(name.encode())])
