import re
from pathlib import Path

import pytest

from steelyard.decision.criteria import CRITERIA, criteria_table
from steelyard.decision.money import price
from steelyard.schema.decision import Facts

DOCS = Path(__file__).parents[2] / "docs" / "explanation"

FRAMEWORK = {
    "style_or_format", "many_examples", "latency", "stable_data", "update_rate", "provenance", "corpus_size", "scoping",
    "volume", "operations", "default", "component_split", "prompt_first", "small_corpus", "facts_in_weights", "label_count",
    "refusal", "fourth_cell", "erasure", "residency", "base_model_end", "wrong_answer_cost", "same_model",
    "multi_tenant_style", "target_missed",
}  # fmt: skip


def between(page, name):
    found = re.search(
        rf"<!-- {name}:begin -->\n(.*?)\n<!-- {name}:end -->", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL
    )
    assert found, f"{page} has no {name} block"
    return found.group(1)


def test_criteria_page_shows_the_table_of_the_code():
    assert between("criteria.md", "criteria") == criteria_table()


def test_every_criterion_of_the_framework_has_a_rule_with_a_name_of_its_own():
    names = [one.name for one in CRITERIA]
    assert len(names) == len(set(names))
    assert set(names) >= FRAMEWORK


@pytest.mark.parametrize("criterion", CRITERIA, ids=lambda one: one.name)
def test_every_rule_is_documented_and_small(criterion):
    import inspect

    assert criterion.rule.__doc__
    assert len(inspect.getsource(criterion.rule).splitlines()) < 60


def test_limits_page_quotes_what_the_draws_say():
    rows = [
        line for line in between("limits.md", "shares").splitlines() if re.match(r"\| (never|quarterly|monthly)", line)
    ]
    updates = {"never": 0.0, "quarterly": 4.0, "monthly": 12.0}
    assert len(rows) == 3
    for row in rows:
        name, *shares = [cell.strip() for cell in row.strip("|").split("|")]
        for queries, share in zip((1e5, 3e5, 1e6, 3e6, 1e7), shares, strict=True):
            facts = Facts(
                behaviour="facts",
                queries_per_month=queries,
                knowledge_update_per_year=updates[name],
                corpus_tokens=5e6,
                examples_count=0,
            )
            assert f"{price(facts).p_cheaper('rag', 'fine_tune'):.2f}" == share
