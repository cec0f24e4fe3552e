"""Per-item scores of each task, and which of them decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from steelyard.evaluation.run import same_asker, scope_of
from steelyard.metrics.answers import answer_scores, citation_validity, former_answers, leaks, stale
from steelyard.metrics.classify import classify_scores
from steelyard.metrics.scores import Score, scored
from steelyard.metrics.writing import ReplyFormat, write_scores
from steelyard.schema.items import Item, Task
from steelyard.schema.outputs import Output
from steelyard.schema.scope import Access, Scope

FITTING = "fitting"
"""A reply that is valid, keeps its slots verbatim, and is of the kind that was approved for such a message."""

WRONG, DECLINED, LEAKS = "wrong", "declined", "leaks"
"""Per-item figures behind the money: an answer given that is not right; nothing given; things shown that may not be seen."""

FIGURES = frozenset({WRONG, DECLINED, LEAKS, "probability"})
"""Names that are no quality metrics and stay out of the tables of metrics."""


def _unknown(_document: str, _version: str) -> None:
    """No stored versions."""


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What scoring may look up: stored texts and access rules by (document, version), all dated rows, and the time.

    `resolve` gives an asker the groups that the directory adds, as every search does.
    """

    stored_text: Callable[[str, str], str | None] = _unknown
    access_of: Callable[[str, str], Access | None] = _unknown
    resolve: Callable[[Scope], Scope] = same_asker
    dated: Sequence[Item] = ()
    at: datetime | None = None
    out_of_scope_label: str = "out_of_scope"
    style: Callable[[str], float] | None = None
    reply_format: ReplyFormat | None = None
    former: dict[str, tuple[str, ...]] = field(default_factory=dict)


def primary_metric(task: Task, items: Sequence[Item]) -> str:
    """The metric a component is decided by; 0 to 1, higher is better.

    For replies without a kind (`label`, `intent`) nothing says whether a reply fits, so closeness to the approved one decides.
    """
    if task != "write":
        return "accuracy"
    return FITTING if any(item.label for item in items) else "chrf"


def score(item: Item, output: Output, truth: Truth) -> dict[str, float]:
    """All scores of one output; what does not apply to the item is absent.

    `well_formed` is there where a generator was asked: whether its output was of the form that was asked for; `grounded` where it
    answered from passages: the share of its sentences that one it cited says.
    """
    scorers = {"classify": _classify, "answer": _answer, "write": _write}
    found = scorers[item.task](item, output, truth)
    if output.well_formed is not None:
        found["well_formed"] = float(output.well_formed)
    checked = output.grounding
    if checked is not None and checked.sentences:
        found["grounded"] = 1.0 - checked.unsupported / checked.sentences
    return found


def _classify(item: Item, output: Output, truth: Truth) -> dict[str, float]:
    found = scored(classify_scores(item, output, truth.out_of_scope_label))
    # Handing an out-of-scope message to a person is right; handing over one the system should have known costs a handoff.
    declined = float(output.out_of_scope)
    found[WRONG] = float(found["accuracy"] == 0.0 and not output.out_of_scope)
    found[DECLINED] = declined
    found["probability"] = output.probability if output.probability is not None else 1.0
    return found


def _answer(item: Item, output: Output, truth: Truth) -> dict[str, float]:
    scores: dict[str, Score] = dict(answer_scores(item, output))
    if output.citations or output.hits:
        scores["citation_validity"] = citation_validity(output, truth.stored_text)
    if item.answerable and item.source is not None and output.hits:
        scores["evidence_recall"] = float(any(hit.passage.document == item.source for hit in output.hits))
    if truth.at is not None and item.answerable:
        if item.id not in truth.former:
            truth.former[item.id] = former_answers(item, truth.dated, truth.at)
        scores["stale_answers"] = stale(item, output, truth.former[item.id])
    found = scored(scores)
    found[WRONG] = float(not output.abstained and found["accuracy"] == 0.0)
    found[DECLINED] = float(output.abstained)
    access_of = truth.access_of if output.citations else None
    found[LEAKS] = float(leaks(output, truth.resolve(scope_of(item)), access_of, item))
    return found


def _write(item: Item, output: Output, truth: Truth) -> dict[str, float]:
    found = scored(write_scores(item, output, truth.reply_format))
    sound = found["format_valid"] == 1.0 and found.get("slot_fidelity", 1.0) == 1.0
    if item.label:
        found["right_kind"] = float(not output.abstained and output.label == item.label)
        found[FITTING] = float(sound and found["right_kind"] == 1.0)
    if truth.style is not None and output.text:
        found["style"] = truth.style(output.template or output.text)
    if not sound:
        found["chrf"] = 0.0
    found[WRONG] = float(not output.abstained and found.get(FITTING, float(sound)) == 0.0)
    found[DECLINED] = float(output.abstained)
    return found
