"""What each approach costs when nothing is known but the facts: options with ranges wide enough to be honest.

The middles follow the reference model; the widths cover its price cases and the labour that teams report. Together they give
the shares of docs/explanation/limits.md: on stable knowledge RAG is the cheaper one in about 84 % of draws at 100,000 queries
a month and in about 5 % at ten million. The tests hold them to it.

An `Input` whose name starts with `fact.` is bound to the component's facts at each pricing, one that starts with `derived.`
to a product of draws; their value here is a placeholder that never reaches a total.
"""

from __future__ import annotations

from steelyard.schema.economics import Input, Option, Range, Scenario

QUERY_TOKENS = 400
"""System prompt and question: 300 + 100, as in the reference model."""

LONG_OUTPUT_TOKENS, LABEL_OUTPUT_TOKENS = 300, 10
"""An answer or a reply; a label."""


def _fact(name: str) -> Input:
    return Input(name=f"fact.{name}", value=0)


def _derived(name: str) -> Input:
    return Input(name=f"derived.{name}", value=0)


HOUR = Range(low=60, mode=95, high=150)
LABEL = Range(low=0.5, mode=3, high=10)

LABELS = _derived("labels_missing")
CONTEXT = Input(name="rag.context_tokens", value=Range(low=1000, mode=3000, high=6000))
INDEX_UPDATE_HOURS = Input(name="rag.update_hours", value=Range(low=0.05, mode=0.5, high=3))
CHANGED_SHARE = Input(name="rag.changed_share", value=Range(low=0.005, mode=0.02, high=0.2))
STORE = Input(name="rag.store_usd_per_month", value=Range(low=20, mode=100, high=600))
RETRAIN_HOURS = Input(name="fine_tune.update_hours", value=Range(low=2, mode=15, high=60))
RETRAIN_LABELS = Input(name="fine_tune.update_labels", value=Range(low=20, mode=200, high=800))
TRAINING_PRICE = Input(name="fine_tune.training_price", value=Range(low=0.5, high=25))
HOSTING = Input(name="fine_tune.hosting_usd_per_month", value=Range(low=0, mode=0, high=2000))

PRICE = Input(name="price.input", value=Range(low=0.06, high=3))
"""Small hosted models to large ones, USD per million tokens."""

DRAWS_BEHIND = {
    "price.output_factor": Range(low=3, mode=4.5, high=6),
    "price.tuned_factor": Range(low=0.1, high=3),
    "price.cached_factor": Range(low=0.02, high=0.25),
    "fine_tune.labels": Range(low=500, mode=2000, high=5000),
    "cache.cold_queries": Range(low=2_000, high=50_000),
    "cache.steady_share": Range(low=0.0, mode=1.0, high=1.0),
}
"""Ranges behind the derived inputs. An output token costs about 4.5 input tokens; a tuned model's token a tenth (a small open
model for a large one) to three times (the surcharge on a tuned one) of the untuned; a cached token a 50th to a quarter of a
fresh one. Labels that are missing must be made. At `cold_queries` a month half of the requests find the provider's cache
cold, and only `steady_share` of them come steadily enough to find it warm at all."""

RAG = Option(
    name="rag",
    approach="rag",
    setup_hours=Input(name="rag.setup_hours", value=Range(low=60, mode=160, high=500)),
    operations_hours_per_month=Input(name="rag.operations_hours", value=Range(low=4, mode=16, high=48)),
    update_hours=INDEX_UPDATE_HOURS,
    corpus_tokens=_fact("corpus_tokens"),
    changed_share=CHANGED_SHARE,
    store_usd_per_month=STORE,
    store_usd_per_million_queries=4,
    rerank_usd_per_query=Range(low=0, mode=0, high=0.001),
    embedding_usd_per_million=0.02,
    embedding_tokens=100,
    input_tokens=(QUERY_TOKENS, CONTEXT),
    output_tokens=_fact("output_tokens"),
    input_usd_per_million=PRICE,
    output_usd_per_million=_derived("output_price"),
    error_rate=_fact("error.rag"),
)

FINE_TUNE = Option(
    name="fine_tune",
    approach="fine_tune",
    setup_hours=Input(name="fine_tune.setup_hours", value=Range(low=100, mode=320, high=1100)),
    labels=LABELS,
    operations_hours_per_month=Input(name="fine_tune.operations_hours", value=Range(low=4, mode=16, high=48)),
    update_hours=RETRAIN_HOURS,
    update_labels=RETRAIN_LABELS,
    training_examples=2000,
    tokens_per_example=1000,
    epochs=3,
    setup_runs=4,
    update_runs=2,
    training_usd_per_million=TRAINING_PRICE,
    hosting_usd_per_month=HOSTING,
    input_tokens=QUERY_TOKENS,
    output_tokens=_fact("output_tokens"),
    input_usd_per_million=_derived("tuned_price"),
    output_usd_per_million=_derived("tuned_output_price"),
    error_rate=_fact("error.fine_tune"),
)

PROMPT = Option(
    name="prompt",
    approach="prompt",
    setup_hours=Range(low=10, mode=40, high=120),
    operations_hours_per_month=Range(low=1, mode=4, high=16),
    update_hours=Range(low=0.1, mode=0.5, high=4),
    input_tokens=QUERY_TOKENS,
    cached_tokens=_fact("prompt_tokens"),
    cache_hit_rate=_derived("cache_hit_rate"),
    output_tokens=_fact("output_tokens"),
    input_usd_per_million=PRICE,
    cached_usd_per_million=_derived("cached_price"),
    output_usd_per_million=_derived("output_price"),
    error_rate=_fact("error.prompt"),
)

# Retrieval and a tuned model beside it: both are set up and run; knowledge changes touch the index alone, the tuned part is
# trained again about once a year.
HYBRID = Option(
    name="hybrid",
    approach="hybrid",
    setup_hours=_derived("hybrid_setup_hours"),
    labels=LABELS,
    operations_hours_per_month=_derived("hybrid_operations_hours"),
    update_hours=INDEX_UPDATE_HOURS,
    retrains_per_year=1,
    retrain_hours=RETRAIN_HOURS,
    retrain_labels=RETRAIN_LABELS,
    retrain_runs=2,
    training_examples=2000,
    tokens_per_example=1000,
    epochs=3,
    setup_runs=4,
    training_usd_per_million=TRAINING_PRICE,
    hosting_usd_per_month=HOSTING,
    corpus_tokens=_fact("corpus_tokens"),
    changed_share=CHANGED_SHARE,
    store_usd_per_month=STORE,
    store_usd_per_million_queries=4,
    embedding_usd_per_million=0.02,
    embedding_tokens=100,
    input_tokens=(QUERY_TOKENS, CONTEXT),
    output_tokens=_fact("output_tokens"),
    input_usd_per_million=_derived("tuned_price"),
    output_usd_per_million=_derived("tuned_output_price"),
    error_rate=_fact("error.hybrid"),
)

WIDE = Scenario(
    horizon_months=Input(name="fact.horizon_months", value=24),
    queries_per_month=_fact("queries_per_month"),
    updates_per_year=_fact("updates_per_year"),
    hour_usd=HOUR,
    label_usd=LABEL,
    wrong_answer_usd=_fact("wrong_answer_usd"),
    options=(PROMPT, RAG, FINE_TUNE, HYBRID),
)
"""The scenario of a decision without data; every `fact.` input is bound by `money.price`."""
