"""The explanation page: its example, its tables and its formulas are computed again from its own text."""

from __future__ import annotations

import ast
import operator
import re
from decimal import Decimal
from pathlib import Path

import pytest

from steelyard.economics.break_even import break_even
from steelyard.economics.cost_model import LINES, costs
from steelyard.economics.defaults import SECTIONS, SHARED, TOP_KEYS
from steelyard.economics.input_file import parse_object
from steelyard.economics.scenario import scenario_from_json
from steelyard.schema.money import cents

PAGE = (Path(__file__).parents[2] / "docs" / "explanation" / "cost-model.md").read_text(encoding="utf-8")
EXAMPLE = PAGE.split("## One example by hand")[1].split("\n## ")[0]
NAMES = ("rag", "fine_tune")


def tree() -> dict:
    return parse_object(re.search(r"```json\n(.*?)```", EXAMPLE, re.DOTALL).group(1), where="page")


def number(text: str) -> Decimal:
    return Decimal(text.replace(",", "").replace("*", "").replace("−", "-"))


def product(text: str) -> Decimal:
    """The value of `4 × 0.5 × 100` as the page writes it."""

    def value(node: ast.expr) -> Decimal:
        if isinstance(node, ast.BinOp):
            known = {ast.Mult: operator.mul, ast.Add: operator.add, ast.Sub: operator.sub, ast.Div: operator.truediv}
            return known[type(node.op)](value(node.left), value(node.right))
        return Decimal(ast.get_source_segment(source, node))

    source = text.replace("×", "*").replace("−", "-").replace(",", "")
    return value(ast.parse(source.strip(), mode="eval").body)


def rows(text: str) -> list[list[str]]:
    found = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")
    ]
    return [row for row in found if row[0].startswith("`")]


def test_each_line_of_the_example_is_its_product_and_what_the_model_says():
    found = {cost.name: cost for cost in costs(scenario_from_json(tree()))}
    table = rows(EXAMPLE)

    assert len(table) == 12
    for line, rag, rag_usd, tuned, tuned_usd in table:
        for name, arithmetic, usd in (("rag", rag, rag_usd), ("fine_tune", tuned, tuned_usd)):
            assert product(arithmetic) == number(usd), (line, name)
            assert found[name].lines[line.strip("`")].quantize(Decimal("1e-9")) == number(usd), (line, name)
    listed = {row[0].strip("`") for row in table}
    assert all(not found[name].lines[line] for name in NAMES for line in LINES if line not in listed)


def test_the_totals_of_the_example_are_the_models():
    written = [number(usd) for usd in re.search(r"\| \*\*total\*\* \| \| (.*?) \| \| (.*?) \|", EXAMPLE).groups()]
    found = {cost.name: cost for cost in costs(scenario_from_json(tree()))}

    assert written == [cents(found[name].total_usd) for name in NAMES]
    assert f"RAG costs {written[1] - written[0]:,} less" in EXAMPLE


def test_the_break_even_of_the_example_is_the_models():
    found = break_even(scenario_from_json(tree()), *NAMES)

    fixed, saving, volume, *_ = [
        number(text) for text in re.findall(r"\*\*(-?[\d.,]+)\*\*", EXAMPLE.split("RAG costs")[1])
    ]

    assert found.usd_fixed.quantize(Decimal("1e-9")) == fixed
    assert found.usd_per_query == saving
    assert round(found.queries_per_month) == volume == round(fixed / (12 * saving))


def test_the_sums_behind_the_break_even_hold():
    text = EXAMPLE.split("RAG costs")[1]
    for left, right in re.findall(r"((?:[\d.,]+ [+−] )+[\d.,]+) = \**([\d.,]+)", text):
        assert product(left) == number(right.rstrip(",.")), left


def test_the_two_variations_of_the_example_are_the_models():
    *_, equal, yearly = [number(text) for text in re.findall(r"\*\*([\d.,]+)\*\*", EXAMPLE)]

    alike = tree()
    alike["fine_tune"]["error_rate"] = alike["rag"]["error_rate"]
    assert round(break_even(scenario_from_json(alike), *NAMES).queries_per_month) == equal
    assert round(break_even(scenario_from_json({**tree(), "updates_per_year": 1}), *NAMES).queries_per_month) == yearly


def test_training_hardly_shows_in_the_example():
    lines = {cost.name: cost for cost in costs(scenario_from_json(tree()))}["fine_tune"].lines

    assert round(lines["setup_compute"] + lines["update_compute"]) == 450
    assert "Training tokens, 450 of 55,810" in EXAMPLE


def test_every_line_has_its_formula():
    formulas = rows(PAGE.split("## What is added up")[1].split("\n## ")[0])

    assert [row[0].strip("`") for row in formulas] == list(LINES)


def test_the_scenario_reference_has_every_key_with_its_default():
    reference = rows(PAGE.split("## The scenario file")[1].split("\n## ")[0])
    written = {row[0].strip("`"): row[1:] for row in reversed(reference)}

    for key, default in SHARED.items():
        assert number(written[key][0]) == Decimal(str(default)), key
    assert set(TOP_KEYS) - set(SECTIONS) <= set(written)
    for place, name in enumerate(("rag", "fine_tune", "prompt", "hybrid")):
        for key in {key for section in SECTIONS.values() for key in section}:
            # `updates_per_year` stands in both tables; the second one is the section's.
            cell = next(row for row in reversed(reference) if row[0] == f"`{key}`")[1 + place]
            default = SECTIONS[name].get(key, "–")
            if default == "–":
                assert cell == "–", (key, name)
            elif default is None or default == ():
                assert cell == "", (key, name)
            else:
                assert number(cell) == Decimal(str(default)), (key, name)


@pytest.mark.parametrize("word", ["P(cheapest)", "regret", "EVPI", "EVPPI", "total order", "tornado"])
def test_every_word_of_the_uncertain_answer_is_explained(word):
    assert f"| {word} |" in PAGE
