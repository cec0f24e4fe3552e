"""A bake-off as the example workspace might give it: three components, whole systems, money, and texts that want to be markup."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from steelyard.schema.decision import Burden, ComponentDecision, Excluded, Flip, Reason
from steelyard.schema.items import Approach
from steelyard.schema.statistics import Comparison, Interval
from steelyard.schema.weighing import (
    CandidateResult,
    ComponentResult,
    CostCurve,
    Sensitivity,
    SystemResult,
    WeighReport,
)

HORIZON = 24
QUERIES = 120_000.0
ALL_QUERIES = QUERIES * sum(1.02**month for month in range(HORIZON))
HOUR, WRONG, HANDOFF = 95.0, 0.50, 2.00
SCRIPT = '<script>alert("from a document")</script>'

LABOUR: Mapping[str, tuple[float, float, float]] = {
    "prompt": (10, 1, 0.125),
    "rag": (40, 4, 0.125),
    "fine_tune": (80, 4, 15),
    "hybrid": (80, 6, 0.125),
}
"""Hours to set up, a month, and for one update; a quarter of the defaults, as for embedded candidates."""

UPDATES = {"intent": 1, "answer": 32, "reply": 1}


def interval(mean: float, half: float, n: int) -> Interval:
    return Interval(mean=mean, low=max(0.0, mean - half), high=min(1.0, mean + half), n=n)


def money(
    approach: Approach, component: str, wrong: float, declined: float, per_query: float = 0.0, hosting: float = 73.0
) -> dict[str, Any]:
    setup, monthly, update = LABOUR[approach]
    lines = dict.fromkeys(
        (
            "setup_labour setup_labels setup_compute update_labour update_labels update_compute operations_labour hosting storage "
            "input_tokens cached_input_tokens output_tokens embedding_tokens reranking compute wrong_answers handoffs migrations"
        ).split(),
        0.0,
    )
    lines["setup_labour"] = setup * HOUR
    lines["setup_compute"] = 0.02
    lines["update_labour"] = update * UPDATES[component] * HORIZON / 12 * HOUR
    lines["operations_labour"] = monthly * HORIZON * HOUR
    lines["hosting"] = hosting * HORIZON
    lines["input_tokens"] = 0.8 * per_query * ALL_QUERIES
    lines["output_tokens"] = 0.2 * per_query * ALL_QUERIES
    lines["wrong_answers"] = wrong * WRONG * ALL_QUERIES
    lines["handoffs"] = declined * HANDOFF * ALL_QUERIES
    once = lines["setup_labour"] + lines["setup_compute"]
    total = sum(lines.values())
    growing = [1.02**month / sum(1.02**month for month in range(HORIZON)) for month in range(HORIZON)]
    variable = (per_query + wrong * WRONG + declined * HANDOFF) * ALL_QUERIES
    fixed = (total - once - variable) / HORIZON
    monthly_usd = [fixed + variable * share for share in growing]
    monthly_usd[0] += once
    return {
        "usd_per_query": per_query + wrong * WRONG + declined * HANDOFF,
        "usd_setup": once,
        "usd_total": total,
        "usd_low": 0.74 * total,
        "usd_high": 1.36 * total,
        "usd_lines": lines,
        "usd_monthly": tuple(monthly_usd),
        "error_rate": wrong,
        "handoff_rate": declined,
    }


def samples(*rows: tuple[str, str, str, bool]) -> tuple[dict[str, Any], ...]:
    return tuple(
        {"text": text, "output": output, "expected": expected, "right": right} for text, output, expected, right in rows
    )


def intent() -> ComponentResult:
    n, key = 186, "7c1f04b2a9e3d6f8"
    shared: dict[str, Any] = {"metric": "accuracy", "peak_mb": 412.0}
    candidates = (
        CandidateResult(
            name="linear",
            approach="fine_tune",
            role="tuned head over embeddings and words",
            feasible=True,
            version=3,
            quality=interval(0.909, 0.041, n),
            metrics={
                "accuracy": interval(0.909, 0.041, n),
                "macro_f1": interval(0.893, 0.047, n),
                "out_of_scope_recall": interval(0.70, 0.20, 20),
                "calibration_error": interval(0.031, 0.012, n),
            },
            p50_ms=6.1,
            p95_ms=9.4,
            p_cheapest=0.93,
            build_s=4.1,
            refresh_s=4.3,
            run_key=key + "01",
            samples=samples(
                (
                    "my card reader says E14 and also why was I charged twice??",
                    "reader_trouble",
                    "billing_question",
                    False,
                ),
                (SCRIPT, "out_of_scope", "out_of_scope", True),
                (
                    "cant log in, code never arives & <b>nothing</b> in spam",
                    "login_trouble",
                    "login_trouble",
                    True,
                ),
            ),
            **shared,
            **money("fine_tune", "intent", 0.071, 0.048),
        ),
        CandidateResult(
            name="cascade",
            approach="hybrid",
            role="neighbours first, tuned head where they disagree",
            feasible=True,
            version=1,
            quality=interval(0.903, 0.042, n),
            metrics={"accuracy": interval(0.903, 0.042, n), "macro_f1": interval(0.886, 0.05, n)},
            p50_ms=7.0,
            p95_ms=11.8,
            p_cheapest=0.05,
            build_s=5.0,
            refresh_s=1.1,
            run_key=key + "02",
            **shared,
            **money("hybrid", "intent", 0.074, 0.051),
        ),
        CandidateResult(
            name="knn",
            approach="rag",
            role="labels of the nearest examples",
            feasible=True,
            version=2,
            quality=interval(0.823, 0.055, n),
            metrics={"accuracy": interval(0.823, 0.055, n), "macro_f1": interval(0.781, 0.06, n)},
            p50_ms=5.8,
            p95_ms=8.9,
            p_cheapest=0.02,
            build_s=0.4,
            refresh_s=0.1,
            run_key=key + "03",
            samples=samples(("wheres my payout", "refund_request", "payout_timing", False)),
            **shared,
            **money("rag", "intent", 0.138, 0.061),
        ),
        CandidateResult(
            name="majority",
            approach="rag",
            role="the most frequent label; the floor everything must beat",
            feasible=True,
            version=1,
            quality=interval(0.118, 0.046, n),
            metrics={"accuracy": interval(0.118, 0.046, n)},
            p50_ms=0.01,
            p95_ms=0.02,
            p_cheapest=0.0,
            build_s=0.0,
            refresh_s=0.0,
            run_key=key + "04",
            **shared,
            **money("rag", "intent", 0.882, 0.0),
        ),
        CandidateResult(
            name="few-shot",
            approach="prompt",
            role="examples in the prompt",
            feasible=True,
            not_measured="needs a generator: set [models.generator]",
            **money("prompt", "intent", 0.0, 0.0, per_query=0.00021, hosting=0.0),
        ),
    )
    decision = ComponentDecision(
        component="intent",
        task="classify",
        recommendation="fine_tune",
        candidate="linear",
        confidence=0.93,
        reasons=(
            Reason(
                criterion="measured_quality",
                argues_for="fine_tune",
                weight=0.91,
                kind="measured",
                because="linear is right on 90.9 % of 186 sealed messages, 8.6 points more than knn (p = 0.004 after correction).",
            ),
            Reason(
                criterion="expected_cost",
                argues_for="fine_tune",
                weight=0.6,
                kind="measured",
                because="It is the cheapest in 93 % of the draws: its fewer wrong labels save more than its training costs.",
            ),
            Reason(
                criterion="latency",
                argues_for="fine_tune",
                weight=0.1,
                because="9 ms at the 95th percentile; the budget is 800 ms, so latency decides nothing here.",
            ),
        ),
        break_even_queries_per_month=9_400,
        p_cheapest={"linear": 0.93, "cascade": 0.05, "knn": 0.02, "majority": 0.0},
        flips=(
            Flip(
                input="queries_per_month", from_value=120_000.0, to_value=9_400.0, becomes="rag", candidate="knn"
            ),
            Flip(input="wrong_answer_usd", from_value=0.5, to_value=0.02, becomes="rag", candidate="knn"),
            Flip(input="updates_per_year", from_value=1.0, to_value=74.0, becomes="rag", candidate="knn"),
        ),
        burden=Burden(
            jobs_per_month=3.1,
            hours_per_month=6.5,
            jobs=(
                "label, retrain, evaluate and ship (0.083 a month)",
                "check drift and out-of-scope requests (1 a month)",
                "review answers and spend (1 a month)",
            ),
            skills_to_build=("model operations: datasets, training, evaluation, deployment, rollback",),
        ),
    )
    return ComponentResult(
        name="intent",
        task="classify",
        metric="accuracy",
        dataset="3f9ad2c1b7e04a55",
        n_train=310,
        n_validation=124,
        n_holdout=n,
        candidates=candidates,
        comparisons=(
            comparison("linear", "cascade", 0.006, 0.02, 1.0, n),
            comparison("linear", "knn", 0.086, 0.047, 0.004, n),
            comparison("linear", "majority", 0.791, 0.06, 0.001, n),
            comparison("cascade", "knn", 0.080, 0.045, 0.006, n),
            comparison("cascade", "majority", 0.785, 0.06, 0.001, n),
            comparison("knn", "majority", 0.705, 0.06, 0.001, n),
        ),
        decision=decision,
        smallest_detectable_difference=0.061,
        curve=curve(candidates, "knn", "linear", "cascade"),
        sensitivity=(
            Sensitivity(input="knn.error_rate", total_order=0.44, evppi_usd=310.0),
            Sensitivity(input="linear.error_rate", total_order=0.29, evppi_usd=120.0),
            Sensitivity(input="queries_per_month", total_order=0.17, evppi_usd=60.0),
            Sensitivity(input="labour.fine_tune.setup", total_order=0.09, evppi_usd=0.0),
            Sensitivity(input="labour.rag.operations", total_order=0.04, evppi_usd=0.0),
        ),
        evpi_usd=560.0,
        holdout_uses={"linear": 3, "cascade": 1, "knn": 2, "majority": 1},
    )


def answer() -> ComponentResult:
    n, key = 62, "e20b88d1c4470a9f"
    shared: dict[str, Any] = {"metric": "accuracy", "peak_mb": 655.0}
    full = {
        "accuracy": interval(0.758, 0.107, n),
        "exact_match": interval(0.41, 0.14, 46),
        "token_f1": interval(0.69, 0.10, 46),
        "containment": interval(0.76, 0.12, 46),
        "evidence_recall": interval(0.89, 0.09, 46),
        "citation_validity": interval(1.0, 0.0, 44),
        "refusal_recall": interval(0.75, 0.21, 16),
        "refusal_precision": interval(0.80, 0.20, 15),
        "stale_answers": interval(0.0, 0.0, 46),
    }
    candidates = (
        CandidateResult(
            name="rag-hybrid",
            approach="rag",
            role="lexical and dense search fused; quoted answers",
            feasible=True,
            version=2,
            quality=full["accuracy"],
            metrics=full,
            p50_ms=31.0,
            p95_ms=58.0,
            p_cheapest=0.71,
            build_s=12.4,
            refresh_s=1.9,
            refusal_recall=0.75,
            run_key=key + "01",
            samples=samples(
                ("How long do refunds take to a prepaid card?", "", "up to 10 working days", False),
                (
                    "What is the instant payout fee on Studio?",
                    f"1.2 % of the payout. {SCRIPT}",
                    "1.2 %",
                    True,
                ),
            ),
            **shared,
            **money("rag", "answer", 0.121, 0.26),
        ),
        CandidateResult(
            name="rag-dense",
            approach="rag",
            role="dense search; quoted answers",
            feasible=True,
            version=2,
            quality=interval(0.710, 0.113, n),
            metrics={"accuracy": interval(0.710, 0.113, n), "evidence_recall": interval(0.80, 0.11, 46)},
            p50_ms=24.0,
            p95_ms=49.0,
            p_cheapest=0.17,
            build_s=11.8,
            refresh_s=1.8,
            refusal_recall=0.69,
            run_key=key + "02",
            **shared,
            **money("rag", "answer", 0.16, 0.25),
        ),
        CandidateResult(
            name="rag-bm25",
            approach="rag",
            role="lexical search; quoted answers",
            feasible=True,
            version=2,
            quality=interval(0.677, 0.115, n),
            metrics={"accuracy": interval(0.677, 0.115, n), "evidence_recall": interval(0.83, 0.11, 46)},
            p50_ms=4.9,
            p95_ms=12.0,
            p_cheapest=0.12,
            build_s=1.2,
            refresh_s=0.4,
            refusal_recall=0.62,
            run_key=key + "03",
            **shared,
            **money("rag", "answer", 0.19, 0.24),
        ),
        CandidateResult(
            name="closed-book",
            approach="fine_tune",
            role="known answers in tuned weights, no retrieval",
            feasible=False,
            why_not="cannot cite its sources; cannot respect who asks; it showed 3 answers to askers who may not see them",
            version=1,
            quality=interval(0.371, 0.118, n),
            metrics={"accuracy": interval(0.371, 0.118, n), "stale_answers": interval(0.17, 0.11, 46)},
            p50_ms=5.5,
            p95_ms=9.0,
            p_cheapest=0.0,
            build_s=3.3,
            refresh_s=3.4,
            leaks=3,
            refusal_recall=0.25,
            run_key=key + "04",
            **shared,
            **money("fine_tune", "answer", 0.48, 0.12),
        ),
        CandidateResult(
            name="long-context",
            approach="prompt",
            role="the whole corpus in a cached prompt",
            feasible=False,
            why_not="cannot respect who asks: every asker's prompt holds every document",
            not_measured="needs a generator: set [models.generator]",
            **money("prompt", "answer", 0.0, 0.0, per_query=0.0094, hosting=0.0),
        ),
        CandidateResult(
            name="rag-raft",
            approach="hybrid",
            role="retrieval with a reader tuned on the team's questions",
            feasible=True,
            not_measured="needs a generator: set [models.generator]",
            **money("hybrid", "answer", 0.0, 0.0, per_query=0.0011, hosting=0.0),
        ),
    )
    decision = ComponentDecision(
        component="answer",
        task="answer",
        recommendation="rag",
        candidate="rag-hybrid",
        confidence=0.71,
        reasons=(
            Reason(
                criterion="provenance",
                argues_for="rag",
                weight=1.0,
                kind="hard",
                because="Citations, an audit trail and per-asker scoping are required; only candidates that retrieve can give them.",
            ),
            Reason(
                criterion="update_rate",
                argues_for="rag",
                weight=0.85,
                because="The documents changed 32 times a year: re-indexing takes 2 s, re-training and shipping 15 hours each time.",
            ),
            Reason(
                criterion="expected_cost",
                argues_for="rag",
                weight=0.5,
                kind="measured",
                because="rag-hybrid is the cheapest in 71 % of the draws; rag-dense in 17 %.",
            ),
            Reason(
                criterion="measured_quality",
                argues_for="rag",
                weight=0.4,
                kind="measured",
                because="Right on 75.8 % of 62 sealed questions; closed-book on 37.1 % (p = 0.001 after correction).",
            ),
        ),
        break_even_queries_per_month=None,
        p_cheapest={"rag-hybrid": 0.71, "rag-dense": 0.17, "rag-bm25": 0.12},
        flips=(
            Flip(input="requirements.citations", from_value=True, to_value=False, becomes="either"),
            Flip(input="handoff_usd", from_value=2.0, to_value=11.5, becomes="rag", candidate="rag-bm25"),
        ),
        next_step="Label about 180 more questions: with 62 sealed ones rag-hybrid cannot be told from rag-dense.",
        excluded=(
            Excluded(
                name="closed-book",
                approach="fine_tune",
                criterion="provenance",
                because="cannot cite its sources; cannot respect who asks; it showed 3 answers to askers who may not see them",
            ),
        ),
        burden=Burden(
            jobs_per_month=4.7,
            hours_per_month=4.3,
            jobs=(
                "re-index what changed (2.7 a month)",
                "score retrieval on the gold questions (1 a month)",
                "check freshness and spend (1 a month)",
            ),
        ),
    )
    return ComponentResult(
        name="answer",
        task="answer",
        metric="accuracy",
        dataset="91be70aa52c6f3d0",
        n_train=103,
        n_validation=41,
        n_holdout=n,
        candidates=candidates,
        comparisons=(
            comparison("rag-bm25", "rag-dense", -0.033, 0.09, 0.51, n),
            comparison("rag-bm25", "rag-hybrid", -0.081, 0.086, 0.18, n),
            comparison("rag-dense", "rag-hybrid", -0.048, 0.07, 0.42, n),
            comparison("rag-hybrid", "closed-book", 0.387, 0.13, 0.001, n),
            comparison("rag-dense", "closed-book", 0.339, 0.13, 0.001, n),
            comparison("rag-bm25", "closed-book", 0.306, 0.14, 0.002, n),
        ),
        decision=decision,
        smallest_detectable_difference=0.128,
        curve=curve(candidates, "rag-hybrid", "closed-book"),
        sensitivity=(
            Sensitivity(input="rag-hybrid.handoff_rate", total_order=0.52, evppi_usd=2_900.0),
            Sensitivity(input="rag-dense.handoff_rate", total_order=0.31, evppi_usd=1_100.0),
            Sensitivity(input="queries_per_month", total_order=0.12, evppi_usd=0.0),
            Sensitivity(input="rag-dense.error_rate", total_order=0.07, evppi_usd=0.0),
        ),
        evpi_usd=6_400.0,
        holdout_uses={"rag-hybrid": 2, "rag-dense": 2, "rag-bm25": 2, "closed-book": 1},
    )


def reply() -> ComponentResult:
    n, key = 80, "05d7be6614f9c2a8"
    shared: dict[str, Any] = {"metric": "fitting", "peak_mb": 398.0}
    candidates = (
        CandidateResult(
            name="exemplar",
            approach="rag",
            role="the nearest approved reply, slots refilled",
            feasible=True,
            version=2,
            quality=interval(0.838, 0.08, n),
            metrics={
                "fitting": interval(0.838, 0.08, n),
                "slot_fidelity": interval(1.0, 0.0, n),
                "format_valid": interval(1.0, 0.0, n),
                "style": interval(0.94, 0.05, n),
                "chrf": interval(0.47, 0.05, n),
            },
            p50_ms=6.6,
            p95_ms=10.2,
            p_cheapest=0.52,
            build_s=0.6,
            refresh_s=0.2,
            run_key=key + "01",
            samples=samples(
                (
                    "customer asks for a refund outside the window",
                    "Hello {name}, thank you for telling us straight. The window closed on {date}, <i>and here is what we can do</i> ...",
                    "Hello {name}, ...",
                    True,
                ),
            ),
            **shared,
            **money("rag", "reply", 0.121, 0.041),
        ),
        CandidateResult(
            name="tuned-writer",
            approach="fine_tune",
            role="encoder-decoder tuned on approved replies",
            feasible=True,
            version=1,
            quality=interval(0.825, 0.083, n),
            metrics={
                "fitting": interval(0.825, 0.083, n),
                "slot_fidelity": interval(1.0, 0.0, n),
                "style": interval(0.97, 0.04, n),
            },
            p50_ms=88.0,
            p95_ms=164.0,
            p_cheapest=0.48,
            build_s=212.0,
            refresh_s=215.0,
            run_key=key + "02",
            **shared,
            **money("fine_tune", "reply", 0.112, 0.04),
        ),
        CandidateResult(
            name="first-reply",
            approach="prompt",
            role="one fixed reply; the floor everything must beat",
            feasible=True,
            version=1,
            quality=interval(0.05, 0.048, n),
            metrics={"fitting": interval(0.05, 0.048, n)},
            p50_ms=0.02,
            p95_ms=0.04,
            p_cheapest=0.0,
            build_s=0.0,
            refresh_s=None,
            run_key=key + "03",
            **shared,
            **money("prompt", "reply", 0.95, 0.0),
        ),
        CandidateResult(
            name="style-guide-few-shot",
            approach="prompt",
            role="style guide and examples in the prompt",
            feasible=True,
            not_measured="needs a generator: set [models.generator]",
        ),
    )
    decision = ComponentDecision(
        component="reply",
        task="write",
        recommendation="either",
        candidate="exemplar",
        confidence=0.81,
        reasons=(
            Reason(
                criterion="measured_quality",
                argues_for="either",
                weight=0.7,
                kind="measured",
                because="No difference between exemplar (83.8 %) and tuned-writer (82.5 %) shows on 80 sealed replies.",
            ),
            Reason(
                criterion="simplicity",
                argues_for="rag",
                weight=0.3,
                because="exemplar is ready in 1 s and follows a new reply in 0.2 s; tuned-writer trains for 212 s.",
            ),
        ),
        p_cheapest={"exemplar": 0.52, "tuned-writer": 0.48},
        next_step=None,
        burden=Burden(
            jobs_per_month=2.1, hours_per_month=4.1, jobs=("add approved replies (1 a month)", "review spend (1 a month)")
        ),
    )
    return ComponentResult(
        name="reply",
        task="write",
        metric="fitting",
        dataset="c0ffee5217d09b34",
        n_train=133,
        n_validation=53,
        n_holdout=n,
        candidates=candidates,
        comparisons=(
            comparison("exemplar", "tuned-writer", 0.013, 0.085, 0.84, n),
            comparison("exemplar", "first-reply", 0.788, 0.09, 0.001, n),
            comparison("tuned-writer", "first-reply", 0.775, 0.09, 0.001, n),
        ),
        decision=decision,
        smallest_detectable_difference=0.114,
        curve=curve(candidates, "exemplar", "tuned-writer", "first-reply"),
        sensitivity=(
            Sensitivity(input="exemplar.error_rate", total_order=0.49, evppi_usd=5_200.0),
            Sensitivity(input="tuned-writer.error_rate", total_order=0.47, evppi_usd=5_000.0),
            Sensitivity(input="queries_per_month", total_order=0.06, evppi_usd=0.0),
        ),
        evpi_usd=9_800.0,
        holdout_uses={"exemplar": 2, "tuned-writer": 1, "first-reply": 1},
    )


def comparison(first: str, second: str, mean: float, half: float, p: float, n: int) -> Comparison:
    verdict = "no_difference" if p >= 0.05 else "better" if mean > 0 else "worse"
    return Comparison(
        first=first,
        second=second,
        difference=Interval(mean=mean, low=mean - half, high=mean + half, n=n),
        p_value=p,
        alpha=0.05,
        verdict=verdict,  # type: ignore[arg-type]
        smallest_detectable=0.12,
    )


def curve(candidates: tuple[CandidateResult, ...], *names: str) -> CostCurve:
    found = {one.name: one for one in candidates}
    volumes = tuple(QUERIES * 10 ** (step / 10 - 2) for step in range(41))
    growth = ALL_QUERIES / QUERIES
    lines = {}
    for name in names:
        per_query = found[name].usd_per_query or 0.0
        fixed = (found[name].usd_total or 0.0) - per_query * ALL_QUERIES
        lines[name] = (fixed, per_query * growth)
    (fixed_a, rate_a), (fixed_b, rate_b) = lines[names[0]], lines[names[1]]
    crossing = (fixed_b - fixed_a) / (rate_a - rate_b) if rate_a != rate_b else -1.0
    return CostCurve(
        queries_per_month=volumes,
        totals={name: tuple(fixed + rate * volume for volume in volumes) for name, (fixed, rate) in lines.items()},
        first=names[0],
        second=names[1],
        break_even=crossing if crossing > 0 else None,
        at=QUERIES,
    )


def systems() -> tuple[SystemResult, ...]:
    n = 60

    def system(name: str, parts: dict[str, str], mean: float, each: tuple[float, ...], **more: Any) -> SystemResult:
        return SystemResult(
            name=name,
            parts=parts,
            quality=interval(mean, 0.12, n),
            metrics=dict(zip(("intent", "answer", "reply"), (interval(one, 0.1, n) for one in each), strict=True)),
            **more,
        )

    return (
        system(
            "pure_rag",
            {"intent": "knn", "answer": "rag-hybrid", "reply": "exemplar"},
            0.517,
            (0.80, 0.75, 0.83),
            p50_ms=44.0,
            p95_ms=78.0,
            usd_per_query=0.62,
            usd_total=2_431_000.0,
            leaks=0,
        ),
        system(
            "pure_fine_tune",
            {"intent": "linear", "answer": "closed-book", "reply": "tuned-writer"},
            0.233,
            (0.90, 0.37, 0.82),
            p50_ms=102.0,
            p95_ms=181.0,
            usd_per_query=0.71,
            usd_total=2_903_000.0,
            leaks=2,
        ),
        system(
            "hybrid",
            {"intent": "linear", "answer": "rag-hybrid", "reply": "exemplar"},
            0.60,
            (0.90, 0.75, 0.83),
            p50_ms=45.0,
            p95_ms=80.0,
            usd_per_query=0.55,
            usd_total=2_188_000.0,
            leaks=0,
            samples=samples(
                (
                    "Hi, I'm on Studio, when does Fridays takings reach my bank? " + SCRIPT,
                    "Hello Ines, Friday's takings reach your bank on Tuesday. Source: docs/payouts.md",
                    "Tuesday",
                    True,
                ),
                ("is there a discount for 3 sites?", "I could not find that in what you may see.", "15 %", False),
            ),
        ),
    )


def weigh_report() -> WeighReport:
    """The whole report."""
    return WeighReport(
        workspace="larkfield-support",
        created="2026-11-22T16:41:08+00:00",
        inputs={
            "horizon_months": HORIZON,
            "queries_per_month": QUERIES,
            "growth_per_month": 0.02,
            "updates_per_year": 32.0,
            "hour_usd": HOUR,
            "wrong_answer_usd": WRONG,
            "handoff_usd": HANDOFF,
            "requirements": "citations, audit, scoping, p95 within 800 ms",
            "seed": 7,
        },
        provenance={
            "steelyard": "0.1.0",
            "encoder": "minilm int8 (sha256 1f3c09aa52d7)",
            "corpus": "generation 1, 86 documents, 1,204 passages",
            "intent data": "tickets.csv (sha256 3f9ad2c1b7e0)",
            "answer data": "questions.jsonl (sha256 91be70aa52c6)",
            "reply data": "replies.jsonl (sha256 c0ffee5217d0)",
        },
        components=(intent(), answer(), reply()),
        systems=systems(),
        system_comparisons=(
            comparison("pure_rag", "pure_fine_tune", 0.284, 0.14, 0.002, 60),
            comparison("pure_rag", "hybrid", -0.083, 0.075, 0.041, 60),
            comparison("pure_fine_tune", "hybrid", -0.367, 0.13, 0.001, 60),
        ),
        skipped=("intent/knn: unchanged since version 2", "reply/exemplar: unchanged since version 2"),
        files={"report": "report.html", "record": "decision.md", "json": "decision.json"},
    )


def open_report() -> WeighReport:
    """A single component that is not decided, and no systems."""
    part = answer()
    decision = replace(
        part.decision,
        recommendation="not_enough_evidence",
        candidate=None,
        confidence=0.62,
        flips=(),
        burden=None,
    )
    return replace(
        weigh_report(),
        components=(replace(part, decision=decision, curve=None, sensitivity=(), comparisons=(), evpi_usd=None),),
        systems=(),
        system_comparisons=(),
        systems_note="Whole systems need cases: name a file under [system].",
        skipped=(),
    )


def hostile_report() -> WeighReport:
    """Names and sentences that try to be markup, in HTML and in Markdown tables."""
    nasty = 'x"><img src=//evil.example/a onerror=alert(1)> | `b` \n# c'
    part = intent()
    first = replace(part.candidates[0], name=nasty, role=nasty)
    rest = (replace(part.candidates[1], role=nasty, feasible=False, why_not=nasty), *part.candidates[2:])
    reason = Reason(criterion=nasty, argues_for="fine_tune", weight=0.5, because=nasty)
    decision = replace(part.decision, component=nasty, candidate=nasty, reasons=(reason,), next_step=nasty)
    return replace(
        weigh_report(),
        workspace=nasty,
        inputs={"horizon_months": 24, "queries_per_month": 1_000.0, nasty: nasty},
        provenance={nasty: nasty},
        components=(
            replace(part, name=nasty, candidates=(first, *rest), decision=decision, curve=None, holdout_uses={nasty: 1}),
        ),
        skipped=(nasty,),
    )
