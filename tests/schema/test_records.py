from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import math
import pkgutil
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import steelyard.schema
from steelyard.schema.corpus import Citation, IngestReport, Passage
from steelyard.schema.decision import Burden, ComponentDecision, Decision, Excluded, Flip, Reason
from steelyard.schema.errors import DataError, SteelyardError, UserError, nearest
from steelyard.schema.findings import Finding
from steelyard.schema.money import cents, money_arithmetic, to_cents
from steelyard.schema.outputs import Usage
from steelyard.schema.runs import ItemResult, RunRecord, VersionRecord
from steelyard.schema.scope import Access
from steelyard.schema.statistics import Comparison, Interval
from steelyard.schema.weighing import (
    CandidateResult,
    ComponentResult,
    CostCurve,
    Sensitivity,
    SystemResult,
    WeighReport,
)

MODULES = [
    importlib.import_module(f"steelyard.schema.{one.name}") for one in pkgutil.iter_modules(steelyard.schema.__path__)
]


def through_json(record: Any) -> Any:
    return json.loads(json.dumps(record.to_json(), allow_nan=False))


def item(**more: Any) -> ItemResult:
    values: dict[str, Any] = {
        "item": "q1",
        "text": "when is it open?",
        "output": "at 9",
        "expected": "at 9",
        "scores": {"accuracy": 1.0},
        "seconds": 0.01,
        "tokens_in": 3,
        "tokens_out": 2,
        "cluster": "docs/hours.md",
    }
    return ItemResult(**{**values, **more})


def run(*items: ItemResult) -> RunRecord:
    return RunRecord(
        key="k",
        component="answer",
        task="answer",
        candidate="rag-hybrid",
        approach="rag",
        version=2,
        metric="accuracy",
        items=items,
        build_s=1.5,
        refresh_s=None,
        peak_mb=300.0,
        leaks=0,
        created="2026-11-01T00:00:00+00:00",
    )


def decision() -> ComponentDecision:
    return ComponentDecision(
        component="answer",
        recommendation="rag",
        confidence=0.98765,
        reasons=(Reason(criterion="provenance", argues_for="rag", weight=1.0, because="It must cite.", kind="hard"),),
        candidate="rag-hybrid",
        break_even_queries_per_month=None,
        p_cheapest={"rag": 0.9, "fine_tune": 0.1},
        flips=(Flip(input="citations", from_value=True, to_value=False, becomes="either"),),
        next_step=None,
        excluded=(
            Excluded(name="closed-book", approach="fine_tune", criterion="provenance", because="It cannot cite."),
        ),
        burden=Burden(jobs_per_month=3.0, hours_per_month=4.25, jobs=("re-index",)),
        total_usd={"rag-hybrid": 10.005},
        task="answer",
    )


def test_a_run_comes_back_as_it_was() -> None:
    record = run(item(), item(item="q2", citations=({"document": "d", "start": 0},), abstained=True, error="timed out"))
    assert RunRecord.from_json(through_json(record)) == record


@given(
    st.builds(
        ItemResult,
        item=st.text(),
        text=st.text(),
        output=st.text(),
        expected=st.text(),
        scores=st.dictionaries(st.text(), st.floats(0, 1)),
        seconds=st.floats(0, 1e6),
        tokens_in=st.integers(0, 10**9),
        tokens_out=st.integers(0, 10**9),
        cluster=st.text(),
        abstained=st.booleans(),
        citations=st.lists(st.dictionaries(st.text(), st.integers() | st.text()), max_size=2).map(tuple),
        error=st.none() | st.text(),
    )
)
def test_any_item_comes_back_as_it_was(result: ItemResult) -> None:
    assert ItemResult.from_json(through_json(result)) == result


def test_items_without_a_score_stay_out_of_the_scores() -> None:
    record = run(item(), item(item="q2", scores={}), item(item="q3", scores={"accuracy": 0.0, "recall": 1.0}))
    assert record.scores("accuracy") == {"q1": 1.0, "q3": 0.0}
    assert record.scores("recall") == {"q3": 1.0}


def test_every_record_with_json_gives_json() -> None:
    span = Interval(mean=0.9, low=0.8, high=1.0, n=10)
    compared = Comparison(
        first="a",
        second="b",
        difference=span,
        p_value=0.01,
        alpha=0.05,
        verdict="better",
        smallest_detectable=0.1,
    )
    candidate = CandidateResult(
        name="a", approach="rag", role="r", feasible=True, metric="accuracy", quality=span, usd_lines={"hosting": 2.0}
    )
    curve = CostCurve(queries_per_month=(1.0,), totals={"a": (2.0,)}, first="a", second="b", break_even=None, at=1.0)
    component = ComponentResult(
        name="answer",
        task="answer",
        metric="accuracy",
        dataset="d",
        n_train=1,
        n_validation=1,
        n_holdout=1,
        candidates=(candidate,),
        comparisons=(compared,),
        decision=decision(),
        smallest_detectable_difference=0.1,
        curve=curve,
        sensitivity=(Sensitivity(input="x", total_order=0.5, evppi_usd=1.0),),
    )
    system = SystemResult(
        name="hybrid",
        parts={"answer": "a"},
        quality=span,
        metrics={"answer": span},
        p50_ms=1.0,
        p95_ms=2.0,
        usd_per_query=0.1,
        usd_total=5.0,
        leaks=0,
    )
    report = WeighReport(
        workspace="w",
        created="2026-11-01",
        inputs={"horizon_months": 24},
        provenance={},
        components=(component,),
        systems=(system,),
    )
    found = through_json(report)
    assert found["components"]["answer"]["candidates"][0]["quality"] == {
        "metric": "accuracy",
        "mean": 0.9,
        "low": 0.8,
        "high": 1.0,
        "n": 10,
    }
    assert found["components"]["answer"]["curve"]["totals"] == {"a": [2.0]}
    assert found["systems"]["hybrid"]["quality"]["metric"] == "handled_right"
    assert through_json(Decision(components=(decision(),)))["components"]["answer"]["flips"][0] == {
        "input": "citations",
        "from": True,
        "to": False,
        "becomes": "either",
    }
    made = (
        Finding(code="c", severity="error", message="m.", remedy="r.", file="f", row=3, field="label"),
        IngestReport(
            generation=1,
            added=1,
            updated=0,
            deleted=0,
            unchanged=0,
            passages=2,
            failed=(("a.pdf", "broken"),),
            seconds=0.1,
        ),
        Citation(document="d", version="v", start=0, end=2, quote="ab", heading=("h",), page=None),
        VersionRecord(
            component="c",
            candidate="k",
            version=1,
            dataset="d",
            inputs="i",
            artefact="a",
            folder="f",
            code_version="v",
            seed=7,
            seconds=0.1,
            metrics={"accuracy": 0.9},
            created="2026-11-01",
        ),
    )
    assert all(through_json(one) for one in made)


def test_the_keys_of_a_decision_are_those_of_the_contract() -> None:
    wanted = {
        "recommendation",
        "confidence",
        "reasons",
        "break_even_queries_per_month",
        "p_cheapest",
        "flips",
        "next_step",
    }
    assert wanted <= set(decision().to_json())


def test_what_has_no_bound_is_null_in_json() -> None:
    span = Interval(mean=math.nan, low=-math.inf, high=math.inf, n=0)
    compared = Comparison(
        first="a",
        second="b",
        difference=span,
        p_value=1.0,
        alpha=0.05,
        verdict="no_difference",
        smallest_detectable=math.inf,
    )
    found = through_json(compared)
    assert found["smallest_detectable"] is None
    assert found["difference"] == {"mean": None, "low": None, "high": None, "n": 0}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_records_are_frozen_and_keyword_only(module) -> None:
    for _, kind in inspect.getmembers(module, inspect.isclass):
        if dataclasses.is_dataclass(kind) and kind.__module__ == module.__name__:
            assert kind.__dataclass_params__.frozen, kind  # type: ignore[attr-defined]
            assert all(one.kw_only for one in dataclasses.fields(kind)), kind


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_the_examples_in_the_docstrings_run(module) -> None:
    import doctest

    assert doctest.testmod(module).failed == 0


def test_a_passage_is_embedded_under_its_path_and_never_with_its_title_twice() -> None:
    def passage(title: str, heading: tuple[str, ...]) -> Passage:
        return Passage(
            id="d@v:0-3",
            document="d",
            version="v",
            title=title,
            start=0,
            end=3,
            text="abc",
            heading=heading,
            page=None,
            access=Access(),
            valid_from=datetime(2026, 1, 1, tzinfo=UTC),
        )

    assert passage("Payouts", ("Payouts", "Delays")).search_text == "Payouts > Delays\nabc"
    assert passage("Payouts", ("Delays",)).search_text == "Payouts > Delays\nabc"
    assert passage("", ()).search_text == "abc"


def test_uses_add_up() -> None:
    both = Usage(tokens_in=1, tokens_out=2, seconds=0.5) + Usage(tokens_in=3, tokens_cached=4, encoder_tokens=5)
    assert both == Usage(tokens_in=4, tokens_cached=4, tokens_out=2, encoder_tokens=5, seconds=0.5)


def test_an_error_says_what_where_and_what_to_do() -> None:
    error = UserError(
        "the label is unknown.", where="labels.csv row 41", remedy="Correct the row.", code="dataset.unknown_label"
    )
    assert str(error) == "labels.csv row 41: the label is unknown.\nCorrect the row. [dataset.unknown_label]"
    assert error.exit_code == 2
    assert error.to_json() == {
        "code": "dataset.unknown_label",
        "message": "the label is unknown.",
        "where": "labels.csv row 41",
        "remedy": "Correct the row.",
    }


def test_every_error_has_the_exit_code_of_its_branch() -> None:
    from steelyard.schema import errors

    for _, kind in inspect.getmembers(errors, inspect.isclass):
        if issubclass(kind, SteelyardError):
            assert kind.exit_code == (2 if issubclass(kind, UserError) else 3), kind
    findings = [Finding(code="c", severity="error", message="m", remedy="r")]
    assert DataError("two problems.", findings=findings).findings == tuple(findings)


def test_a_finding_reads_as_one_line() -> None:
    finding = Finding(
        code="dataset.x", severity="warning", message="Odd.", remedy="Look.", file="a.csv", row=2, field="label"
    )
    assert finding.line() == "warning: a.csv row 2 field label: Odd. Look. [dataset.x]"
    assert Finding(code="c", severity="note", message="Odd.", remedy="Look.").line() == "note: Odd. Look. [c]"


def test_the_nearest_name_is_named_or_none() -> None:
    assert nearest("rag-hybird", ["rag-bm25", "rag-hybrid"]) == ["rag-hybrid"]
    assert nearest("zzz", ["billing"]) == []


amounts = st.lists(st.decimals(min_value=-(10**12), max_value=10**12, places=9), max_size=30)


@given(amounts)
def test_cents_add_up_to_the_rounded_sum_and_move_by_a_cent_at_most(values: list[Decimal]) -> None:
    rounded = to_cents(values)
    with money_arithmetic():
        assert sum(rounded, Decimal(0)) == cents(sum(values, Decimal(0)))
        assert all(abs(one - exact) <= Decimal("0.01") for one, exact in zip(rounded, values, strict=True))
    assert all(one == one.quantize(Decimal("0.01")) for one in rounded)


def test_large_sums_keep_their_cents() -> None:
    assert cents(Decimal("9" * 60 + ".005")) == Decimal("9" * 60 + ".00")  # half to even
    assert cents(Decimal("0.015")) == Decimal("0.02")
