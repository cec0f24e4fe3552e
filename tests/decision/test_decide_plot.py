"""The picture of a decision says what its numbers say."""

import pytest

from steelyard.decision.facts import facts_from_json
from steelyard.decision.plots import HIGHEST_QUERIES, LOWEST_QUERIES, decision_chart
from steelyard.decision.recommend import decide

DOC_LOOKUP = {
    "queries_per_month": 400_000,
    "knowledge_update_per_year": 52,
    "needs_citations": False,
    "needs_audit": False,
    "per_user_scoping": False,
    "behaviour": "facts",
    "corpus_tokens": 3_000_000,
    "latency_budget_ms": 3000,
    "examples_count": 0,
    "prompt_examples_tokens": 0,
}


@pytest.fixture(scope="module")
def decided():
    sheet = facts_from_json(DOC_LOOKUP)
    return sheet, decide(sheet)


def rows(chart, key):
    """The data rows of a chart that carry `key`, whatever panel they are in."""
    found = chart.to_dict()
    sets = [found.get("datasets", {}).values(), _values(found)]
    return [row for group in sets for values in group for row in values if key in row]


def _values(node):
    if isinstance(node, dict):
        data = node.get("data")
        if isinstance(data, dict) and isinstance(data.get("values"), list):
            yield data["values"]
        for child in node.values():
            yield from _values(child)
    elif isinstance(node, list):
        for child in node:
            yield from _values(child)


def test_the_break_even_is_marked_where_the_decision_puts_it(decided):
    sheet, decision = decided
    volume = decision.components[0].break_even_queries_per_month
    assert LOWEST_QUERIES < volume < HIGHEST_QUERIES
    marks = [row for row in rows(decision_chart(sheet, decision), "text") if "break-even" in row["text"]]
    assert marks
    assert all(mark["queries"] == volume and f"{volume:,.0f}" in mark["text"] for mark in marks)


def test_the_lines_cross_at_the_marked_break_even(decided):
    sheet, decision = decided
    volume = decision.components[0].break_even_queries_per_month
    lines = {}
    for row in rows(decision_chart(sheet, decision), "usd"):
        lines.setdefault(row["queries"], {})[row["approach"]] = row["usd"]
    cheaper = {at: min(usd, key=usd.get) for at, usd in lines.items()}
    step = (HIGHEST_QUERIES / LOWEST_QUERIES) ** (1 / 36)
    assert {name for at, name in cheaper.items() if at < volume / step} == {"retrieval"}
    assert {name for at, name in cheaper.items() if at > volume * step} == {"fine-tuning"}
