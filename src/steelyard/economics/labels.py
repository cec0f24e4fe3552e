"""What plots and terminal tables share: names for readers, groups of lines, round numbers for axes."""

from __future__ import annotations

from math import ceil, floor, log10

LINE_GROUPS = {
    "set-up labour": ("setup_labour",),
    "labels": ("setup_labels", "update_labels"),
    "update labour": ("update_labour",),
    "operations labour": ("operations_labour",),
    "training, embedding": ("setup_compute", "update_compute"),
    "hosting, storage": ("hosting", "storage"),
    "tokens, compute": (
        "input_tokens",
        "cached_input_tokens",
        "output_tokens",
        "embedding_tokens",
        "reranking",
        "compute",
    ),
    "wrong answers, handoffs": ("wrong_answers", "handoffs"),
    "migrations": ("migrations",),
}
"""The lines of a total, in as many groups as a stacked bar can show apart."""

MANY_DECADES = 10_000
"""From there on a logarithmic axis shows powers of ten only."""


def round_values(low: float, high: float) -> list[float]:
    """1, 2 and 5 times every power of ten from `low` to `high`; powers of ten alone beyond four decades.

    >>> round_values(30, 250)
    [50, 100, 200]
    """
    steps = (1, 2, 5) if high / low < MANY_DECADES else (1,)
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    return [step * 10**power for power in powers for step in steps if low <= step * 10**power <= high]


def shown(option: str) -> str:
    """The option's name as a reader sees it.

    >>> shown("fine_tune")
    'fine-tuning'
    """
    return {"rag": "RAG", "fine_tune": "fine-tuning", "prompt": "prompt", "hybrid": "hybrid"}.get(option, option)
