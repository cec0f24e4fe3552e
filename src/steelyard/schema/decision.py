"""Decisions: what is known of a component, what is recommended for it, and why.

Two ways lead to one `ComponentDecision`: from facts alone (`steelyard decide`) and from measured candidates
(`steelyard weigh`), which travel in a `MeasuredComponent`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal

from steelyard.schema.items import Approach, Task
from steelyard.schema.statistics import Comparison, Interval

Verdict = Literal["rag", "fine_tune", "hybrid", "prompt", "either", "not_enough_evidence"]
"""An approach; `either`: indifferent; `not_enough_evidence`: a fact worth finding out decides."""

Behaviour = Literal["facts", "style", "format", "classification", "mixed"]
"""What the component must produce; `mixed` has components of several kinds."""

CriterionKind = Literal["hard", "soft", "measured"]
"""A hard criterion excludes, a soft one adds weight, a measured one beats opinion."""

APPROACHES: tuple[Approach, ...] = ("prompt", "rag", "fine_tune", "hybrid")
"""Simplest to run first: ties are broken in this order."""

NO_SHARES: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class TeamSkills:
    """Which discipline the team already carries; None is unknown.

    `mlops`: datasets, training, evaluation, deployment, rollback. `ir_ops`: ingestion, freshness, index, retrieval quality.
    """

    mlops: bool | None = None
    ir_ops: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Pilot:
    """A pilot's measured score per approach; an approach that is absent was not measured.

    `target` is the score an approach must reach, None where there is none. `lower_is_better` holds for latencies, error
    rates and costs. `items` is how many cases were scored, None when not said.
    """

    metric: str
    scores: Mapping[Approach, float]
    target: float | None = None
    lower_is_better: bool = False
    items: int | None = None

    def __hash__(self) -> int:
        """Equal pilots hash alike; the scores are a mapping, which has no hash of its own."""
        return hash((self.metric, tuple(sorted(self.scores.items())), self.target, self.lower_is_better, self.items))


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of one component before anything is built. None means unknown, never zero or no.

    `measured` None means that no pilot was run. The facts of the contract come first; the rest are optional refinements that
    most teams leave out, so for them None also means "nothing unusual".
    """

    name: str = "main"
    queries_per_month: float | None = None
    knowledge_update_per_year: float | None = None
    needs_citations: bool | None = None
    needs_audit: bool | None = None
    per_user_scoping: bool | None = None
    behaviour: Behaviour | None = None
    corpus_tokens: float | None = None
    latency_budget_ms: float | None = None
    examples_count: float | None = None
    prompt_examples_tokens: float | None = None
    team_skills: TeamSkills = TeamSkills()
    measured: Pilot | None = None
    needs_refusal: bool | None = None
    needs_erasure: bool | None = None
    needs_residency: bool | None = None
    styles_count: float | None = None
    retrieval_p95_ms: float | None = None
    base_model_ends_in_months: float | None = None
    wrong_answer_usd: float | None = None
    horizon_months: int | None = None


@dataclass(frozen=True, kw_only=True)
class FactSheet:
    """A facts file: one `Facts` per component, in file order; a single one named `main` when there are no components."""

    components: tuple[Facts, ...]


@dataclass(frozen=True, kw_only=True)
class Reason:
    """One criterion that spoke: what it argues for (`prompt`, `rag`, ... or `against fine_tune`), how strongly, and why.

    `weight` runs from 0 (silent) to 1 (decides alone). `because` is one sentence with the numbers it rests on.
    """

    criterion: str
    argues_for: str
    weight: float
    because: str
    kind: CriterionKind = "soft"

    def to_json(self) -> dict[str, Any]:
        """The reason as JSON: criterion, argues_for, weight, because, kind."""
        return {
            "criterion": self.criterion,
            "argues_for": self.argues_for,
            "weight": round(self.weight, 3),
            "because": self.because,
            "kind": self.kind,
        }


@dataclass(frozen=True, kw_only=True)
class Excluded:
    """An approach or candidate that cannot be chosen whatever it costs, the criterion that excludes it, and why."""

    name: str
    approach: Approach
    criterion: str
    because: str

    def to_json(self) -> dict[str, Any]:
        """The exclusion as JSON: name, approach, criterion, because."""
        return {"name": self.name, "approach": self.approach, "criterion": self.criterion, "because": self.because}


@dataclass(frozen=True, kw_only=True)
class Flip:
    """The nearest change of one input that changes the verdict, every other input as it is."""

    input: str
    from_value: float | bool | str | None
    to_value: float | bool | str
    becomes: Verdict
    candidate: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The flip as JSON: input, from, to, becomes, and the candidate where candidates were measured."""
        out: dict[str, Any] = {
            "input": self.input,
            "from": self.from_value,
            "to": self.to_value,
            "becomes": self.becomes,
        }
        return out if self.candidate is None else {**out, "candidate": self.candidate}


@dataclass(frozen=True, kw_only=True)
class Burden:
    """What running the recommendation brings: jobs and person-hours a month, the jobs by name, skills still to build."""

    jobs_per_month: float
    hours_per_month: float
    jobs: tuple[str, ...]
    skills_to_build: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The burden as JSON: jobs_per_month, hours_per_month, jobs, skills_to_build."""
        return {
            "jobs_per_month": round(self.jobs_per_month, 2),
            "hours_per_month": round(self.hours_per_month, 1),
            "jobs": list(self.jobs),
            "skills_to_build": list(self.skills_to_build),
        }


@dataclass(frozen=True, kw_only=True)
class ComponentDecision:
    """What to run for one component, and what the recommendation rests on.

    `recommendation` is an approach or a verdict; `candidate` names the candidate to release when candidates were measured,
    also under `either` (the simplest of the indifferent). `confidence` is the probability that the recommendation is right
    given what is known; under `not_enough_evidence` and `either` that no single approach could be called better.
    `reasons` stand strongest first. `break_even_queries_per_month` is from where on fine-tuning costs less than what
    it competes with (retrieval where knowledge is looked up, else prompting) in half of the draws; None when there is none.
    `next_step` is the cheapest step that would settle an open decision.
    """

    component: str
    recommendation: Verdict
    confidence: float
    reasons: tuple[Reason, ...]
    candidate: str | None = None
    break_even_queries_per_month: int | None = None
    p_cheapest: Mapping[str, float] = field(default_factory=lambda: NO_SHARES)
    flips: tuple[Flip, ...] = ()
    next_step: str | None = None
    excluded: tuple[Excluded, ...] = ()
    burden: Burden | None = None
    total_usd: Mapping[str, float] = field(default_factory=lambda: NO_SHARES)
    task: Task | None = None

    def to_json(self) -> dict[str, Any]:
        """The decision with the keys of one entry of `steelyard decide --json`; `candidate` and `task` where known."""
        out: dict[str, Any] = {
            "recommendation": self.recommendation,
            "confidence": round(self.confidence, 3),
            "reasons": [reason.to_json() for reason in self.reasons],
            "break_even_queries_per_month": self.break_even_queries_per_month,
            "p_cheapest": {name: round(share, 4) for name, share in self.p_cheapest.items()},
            "flips": [flip.to_json() for flip in self.flips],
            "next_step": self.next_step,
            "excluded": [one.to_json() for one in self.excluded],
            "burden": None if self.burden is None else self.burden.to_json(),
            "total_usd": {name: round(usd, 2) for name, usd in self.total_usd.items()},
        }
        if self.task is not None:
            out = {"task": self.task, **out}
        return out if self.candidate is None else {**out, "candidate": self.candidate}


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One decision per component, in the order of the facts; `main` when there are no components."""

    components: tuple[ComponentDecision, ...]

    @property
    def is_hybrid_system(self) -> bool:
        """Whether the components are to be run with different approaches."""
        return len({one.recommendation for one in self.components}) > 1

    def to_json(self) -> dict[str, Any]:
        """The decision with the keys of `steelyard decide --json`."""
        return {"components": {one.component: one.to_json() for one in self.components}}


@dataclass(frozen=True, kw_only=True)
class Requirements:
    """Hard requirements of a component: a candidate that cannot meet one is infeasible, whatever it costs.

    `p95_ms` None sets no latency limit. `target` is the lowest acceptable mean of the component's metric, None for no floor.
    """

    citations: bool = False
    audit: bool = False
    scoping: bool = False
    erasure: bool = False
    residency: bool = False
    p95_ms: float | None = None
    target: float | None = None


@dataclass(frozen=True, kw_only=True)
class CandidateEvidence:
    """What was measured of one candidate, and what it costs over the horizon.

    `quality` is None when the candidate was not measured; `not_measured` then says why. Money is USD over the horizon:
    `fixed_usd` does not grow with queries, `error_usd` is the part that wrong answers and handoffs cost, `total_usd` is
    everything, quality priced in. `total_draws` are totals under uncertain inputs, the i-th draw of every candidate sharing
    its inputs; without them `p_cheapest` may be given. `simplicity` orders ties, smaller first; candidates of equal
    simplicity stand in the order of `APPROACHES`. `can_erase`: a deleted document is gone from its answers. `stays_here`: no
    data leaves for a provider. `tunes_encoder`: its fit changed the encoder's own weights.
    """

    name: str
    approach: Approach
    quality: Interval | None
    can_cite: bool
    can_scope: bool
    can_audit: bool = True
    can_erase: bool = True
    stays_here: bool = True
    p50_ms: float | None = None
    p95_ms: float | None = None
    leaks: int = 0
    build_s: float = 0.0
    refresh_s: float = 0.0
    total_usd: float | None = None
    fixed_usd: float = 0.0
    error_usd: float = 0.0
    total_draws: tuple[float, ...] = ()
    p_cheapest: float | None = None
    simplicity: int = 0
    tunes_encoder: bool = False
    not_measured: str | None = None

    @property
    def measured(self) -> bool:
        """Whether the candidate was run on the holdout."""
        return self.quality is not None


@dataclass(frozen=True, kw_only=True)
class MeasuredComponent:
    """One component after the bake-off: everything `recommend_measured` reads.

    `metric` is higher-is-better. `comparisons` are paired on the same holdout items; a pair that is missing counts as not
    compared, and the intervals are used. `baseline` names the candidate everything is compared with.
    `smallest_detectable_difference` is what this holdout shows with power 0.8. `queries_per_month` and `wrong_answer_usd`
    are the scenario's, stated so that flips can be given in them; None where unknown.
    """

    component: str
    task: Task
    metric: str
    requirements: Requirements
    candidates: tuple[CandidateEvidence, ...]
    comparisons: tuple[Comparison, ...]
    smallest_detectable_difference: float
    n_holdout: int
    baseline: str | None
    queries_per_month: float | None = None
    wrong_answer_usd: float | None = None

    @cached_property
    def pairs(self) -> Mapping[tuple[str, str], tuple[Comparison, float]]:
        """Every compared pair in both orders, with the sign that makes a comparison's difference first minus second."""
        found = {(one.second, one.first): (one, -1.0) for one in self.comparisons}
        return found | {(one.first, one.second): (one, 1.0) for one in self.comparisons}
