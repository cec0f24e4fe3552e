"""The table of criteria: every rule by name, with its kind, when it speaks, and the evidence behind it.

docs/explanation/criteria.md is generated from this table and a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from steelyard.decision import behaviour, knowledge, weighing
from steelyard.decision.case import Case, Opinion
from steelyard.schema.decision import CriterionKind, Excluded, Reason
from steelyard.schema.items import Approach

Rule = Callable[[Case], Opinion | None]


@dataclass(frozen=True)
class Criterion:
    """One line of the table. `rule` returns None when it has nothing to say of a case."""

    name: str
    kind: CriterionKind
    argues_for: str
    when: str
    evidence: str
    rule: Rule


CRITERIA: tuple[Criterion, ...] = (
    Criterion(
        "update_rate", "soft", "rag", "the knowledge changes quarterly (weakly) to daily (decisively)",
        "a model per change is impractical; a cached prompt is as fresh where the corpus is small", knowledge.update_rate,
    ),
    Criterion(
        "provenance", "hard", "rag", "answers over knowledge must cite, or stand an audit",
        "weights cannot name a source; audit also needs kept index versions", knowledge.provenance,
    ),
    Criterion(
        "style_or_format", "soft", "fine_tune", "a voice, a schema or a labelling scheme is wanted",
        "behaviour belongs in weights; weak once a simpler approach is measured to be enough", behaviour.style_or_format,
    ),
    Criterion(
        "scoping", "hard", "rag", "users see different slices of the knowledge",
        "a filter at query time scales, a model per user does not; concerns knowledge, not style", knowledge.scoping,
    ),
    Criterion(
        "component_split", "soft", "hybrid", "one component needs looked-up facts and a behaviour",
        "each part gets its own approach; silent when a simpler one reaches the target", behaviour.component_split,
    ),
    Criterion(
        "target_missed", "measured", "against the approach", "a pilot misses its target",
        "a cheaper approach that fails the target is not a candidate", weighing.target_missed,
    ),
    Criterion(
        "target_met", "measured", "the approach", "a pilot reaches its target",
        "a measured approach is known to work; its rivals are promises", weighing.target_met,
    ),
    Criterion(
        "wrong_answer_cost", "measured", "the better one", "measured quality differs by more than noise",
        "an accuracy gap of 0.5 to 11 points eats the whole saving per query at 0.10 USD a wrong answer", weighing.wrong_answer_cost,
    ),
    Criterion(
        "fourth_cell", "measured", "measure", "tuning on top of retrieval is in question and unmeasured",
        "helped in four published studies, hurt in four", weighing.fourth_cell,
    ),
    Criterion(
        "prompt_first", "soft", "prompt", "a prompt reaches the target, or nothing was measured and the volume is small",
        "guides agree on a measured prompt first; constrained decoding makes grammar-expressible formats valid", behaviour.prompt_first,
    ),
    Criterion(
        "small_corpus", "soft", "prompt", "the corpus fits a cached prompt and that is cheaper than an index",
        "about 200,000 tokens at low volume; 12,000 to 150,000 by price at high volume", knowledge.small_corpus,
    ),
    Criterion(
        "many_examples", "soft", "fine_tune", "examples are too long or too dear to send with each request",
        "tokens x queries is the prohibitive term; beyond the context it excludes prompting", behaviour.many_examples,
    ),
    Criterion(
        "label_count", "soft", "fine_tune or prompt", "labelled examples are few, some or enough",
        "under about 50 nothing can be tuned; classification pays from 200 to 500, tone from about 100", behaviour.label_count,
    ),
    Criterion(
        "latency", "soft", "fine_tune", "the budget hardly holds a retrieval step or a long prompt",
        "embedding, search and a longer prompt; a measured step over the budget excludes retrieval", behaviour.latency,
    ),
    Criterion(
        "stable_data", "soft", "fine_tune", "the knowledge changes less than quarterly",
        "retraining does not dominate the cost; exactly quarterly is the boundary, not a pass", knowledge.stable_data,
    ),
    Criterion(
        "facts_in_weights", "soft", "against fine_tune", "facts would be learned by tuning, and no pilot shows that it works",
        "37 % of new facts and 19 % of updates learned over five services; rare facts worst", knowledge.facts_in_weights,
    ),
    Criterion(
        "corpus_size", "soft", "rag", "the knowledge is too large for a prompt, or to train in",
        "a few million tokens and more; beyond the context it excludes prompting", knowledge.corpus_size,
    ),
    Criterion(
        "volume", "soft", "the cheapest", "queries a month are known",
        "total cost over the horizon in draws over prices and labour, counted as far as the approach is known to work", weighing.volume,
    ),
    Criterion(
        "operations", "soft", "the carried discipline", "the team carries one of model and retrieval operations",
        "neither is free; adopting the other means building it", weighing.operations,
    ),
    Criterion(
        "refusal", "soft", "rag", "it must decline when the answer is not there",
        "right refusals 52 % with retrieval, 17 % with tuning added, in a published 2x2", knowledge.refusal,
    ),
    Criterion(
        "erasure", "hard", "rag", "personal data must be deletable on request",
        "weights cannot forget", knowledge.erasure,
    ),
    Criterion(
        "residency", "hard", "local models", "data may not leave the team's machines",
        "excludes hosted models of every approach, so it moves no approach far", knowledge.residency,
    ),
    Criterion(
        "base_model_end", "soft", "against fine_tune", "the tunable base ends inside the horizon",
        "forced migration; most hosted tunable bases have announced ends", knowledge.base_model_end,
    ),
    Criterion(
        "multi_tenant_style", "soft", "fine_tune or prompt", "many styles share one base",
        "adapters on one base serve together, if each style has enough examples", behaviour.multi_tenant_style,
    ),
    Criterion(
        "same_model", "soft", "rag", "fine-tuning looks cheaper and nothing was measured",
        "most published break-evens compare large with retrieval to small and tuned", weighing.same_model,
    ),
    Criterion(
        "default", "soft", "rag", "answers come from documents",
        "documentation, support, research, look-up: fine-tuning has to be argued for", knowledge.default,
    ),
)  # fmt: skip
"""Every criterion, in the order in which equal weights are shown: the three questions first."""


@dataclass(frozen=True)
class Hearing:
    """What all criteria say of one case: reasons strongest first, exclusions, and each approach's summed score."""

    reasons: tuple[Reason, ...]
    excluded: tuple[Excluded, ...]
    scores: dict[Approach, float]

    @property
    def feasible(self) -> tuple[Approach, ...]:
        """The approaches that nothing excludes, simplest first."""
        out = {one.approach for one in self.excluded}
        return tuple(approach for approach in self.scores if approach not in out)


def hear(case: Case) -> Hearing:
    """Ask every criterion about a case."""
    scores: dict[Approach, float] = dict.fromkeys(case.approaches, 0.0)
    reasons: list[Reason] = []
    excluded: dict[Approach, Excluded] = {}
    for criterion in CRITERIA:
        opinion = criterion.rule(case)
        if opinion is None:
            continue
        for approach, push in opinion.pushes.items():
            if approach in scores:
                scores[approach] += push
        for approach, why in opinion.excludes.items():
            if approach in scores:
                excluded.setdefault(
                    approach, Excluded(name=approach, approach=approach, criterion=criterion.name, because=why)
                )
        reasons.append(
            Reason(
                criterion=criterion.name,
                argues_for=opinion.argues_for,
                weight=opinion.weight,
                because=opinion.because,
                kind=opinion.kind or criterion.kind,
            )
        )
    reasons.sort(key=lambda reason: -reason.weight)
    return Hearing(tuple(reasons), tuple(excluded.values()), scores)


def criteria_table() -> str:
    """The table of criteria in Markdown, as docs/explanation/criteria.md shows it."""
    head = "| criterion | kind | argues for | speaks when | evidence |\n|---|---|---|---|---|\n"
    rows = (f"| `{one.name}` | {one.kind} | {one.argues_for} | {one.when} | {one.evidence} |" for one in CRITERIA)
    return head + "\n".join(rows)
