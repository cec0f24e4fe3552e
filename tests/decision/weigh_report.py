"""A bake-off as the example workspace might give it: three components, whole systems, and texts that want to be markup."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from weigh_answer import answer
from weigh_figures import HANDOFF, HORIZON, HOUR, QUERIES, SCRIPT, WRONG, comparison, interval, samples
from weigh_labels import intent, reply

from steelyard.schema.decision import Reason
from steelyard.schema.weighing import SystemResult, WeighReport

__all__ = ["SCRIPT", "hostile_report", "open_report", "weigh_report"]


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
            "updates_per_year_answer": 32.0,
            "updates_per_year_intent": 1.0,
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
            replace(
                part, name=nasty, candidates=(first, *rest), decision=decision, curve=None, holdout_uses={nasty: 1}
            ),
        ),
        skipped=(nasty,),
    )
