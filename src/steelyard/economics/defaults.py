"""What a scenario file may say, and what holds where it says nothing: the reference model's values.

`None` in a table means that the key has no default: a price that follows another, a rate that follows the scenario's.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

SHARED: dict[str, Any] = {
    "horizon_months": 24,
    "queries_per_month": 1_000_000,
    "growth_per_month": 0,
    "updates_per_year": 4,
    "hour_usd": 95,
    "label_usd": 3,
    "wrong_answer_usd": 0,
    "handoff_usd": 0,
}
TOKENS: dict[str, Any] = {"system": 300, "question": 100, "context": 3000, "output": 300}

_QUERY: dict[str, Any] = {
    "cached_tokens": 0,
    "cached_usd_per_million": None,
    "cache_write_usd_per_million": None,
    "cache_hit_rate": 1,
    "usd_per_query": 0,
    "compute_seconds_per_query": 0,
    "compute_usd_per_hour": 0,
    "error_rate": 0,
    "handoff_rate": 0,
    "updates_per_year": None,
    "setup_usd": 0,
    "update_usd": 0,
    "migration_months": (),
    "migration_usd": 0,
}
_INDEX: dict[str, Any] = {
    "corpus_tokens": 5_000_000,
    "changed_share": Decimal("0.02"),
    "store_usd_per_month": 100,
    "store_usd_per_million_queries": 4,
    "rerank_usd_per_query": 0,
    "embedding_usd_per_million": Decimal("0.02"),
}
_TRAINING: dict[str, Any] = {
    "labels": 2000,
    "training_examples": 2000,
    "tokens_per_example": 1000,
    "epochs": 3,
    "setup_runs": 4,
    "training_usd_per_million": 25,
    "hosting_usd_per_month": 0,
    "queries_per_replica": 20_000_000,
    "input_usd_per_million": 3,
    "output_usd_per_million": 12,
    # Moving to a new base is a training anew and a check of it, about one update's labour.
    "migration_hours": 60,
    "migration_labels": 0,
    "migration_runs": 4,
}
RAG: dict[str, Any] = {
    "setup_hours": 160,
    "operations_hours_per_month": 16,
    "update_hours": Decimal("0.5"),
    "input_usd_per_million": 2,
    "output_usd_per_million": 8,
    # A new model behind the same index: prompts are tried again and the gold questions rerun.
    "migration_hours": 16,
    **_INDEX,
    **_QUERY,
}
FINE_TUNE: dict[str, Any] = {
    "setup_hours": 320,
    "operations_hours_per_month": 16,
    "update_hours": 60,
    "update_labels": 500,
    "update_runs": 2,
    **_TRAINING,
    **_QUERY,
}
PROMPT: dict[str, Any] = {
    # No index and no training: the corpus is cleaned, put into the prompt, and checked.
    "setup_hours": 40,
    "operations_hours_per_month": 4,
    "update_hours": Decimal("0.5"),
    "corpus_tokens": 50_000,
    "input_usd_per_million": 2,
    "output_usd_per_million": 8,
    "migration_hours": 16,
    **_QUERY,
    "cached_usd_per_million": Decimal("0.5"),
}
HYBRID: dict[str, Any] = {
    # Both systems are built; the index follows the knowledge, the model is trained anew once a year.
    "setup_hours": 480,
    "operations_hours_per_month": 24,
    "update_hours": Decimal("0.5"),
    "retrains_per_year": 1,
    "retrain_hours": 60,
    "retrain_labels": 500,
    "retrain_runs": 2,
    **_INDEX,
    **_TRAINING,
    **_QUERY,
    "migration_hours": 76,
}
SECTIONS: dict[str, dict[str, Any]] = {"rag": RAG, "fine_tune": FINE_TUNE, "prompt": PROMPT, "hybrid": HYBRID}
"""Defaults by approach. `rag` and `fine_tune` are always priced; the others where the file has their section."""

ALWAYS = ("rag", "fine_tune")
EXTRA_KEYS = ("model", "tokens")
TOP_KEYS = (*SHARED, "tokens", *SECTIONS, "options", "start")

PRICE_OF = {
    "input_usd_per_million": "input",
    "cached_usd_per_million": "cached",
    "cache_write_usd_per_million": "cache_write",
    "output_usd_per_million": "output",
    "embedding_usd_per_million": "embedding",
    "training_usd_per_million": "training",
    "rerank_usd_per_query": "rerank_query",
}
"""Which price of a model a key takes when it says {"model": "NAME"}."""

LONGEST_NAME = 60
"""Characters of an option's name; it stands in tables and plots."""
