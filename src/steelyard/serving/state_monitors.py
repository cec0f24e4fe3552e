"""Monitors of what answers rest on: sources, documents, retrieval, base models."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date
from statistics import NormalDist

from steelyard.config import WatchSettings
from steelyard.metrics.traffic import shown_drop
from steelyard.schema.quality import GenerationQuality
from steelyard.schema.watching import Alert, BaseModel

COMPARED = 10
"""Generations before the one in force that it is compared with: their mean, so that no single lucky one sets the mark."""

SHOWN_FAILING = 3
HOUR_S = 3600


def watch_freshness(waiting_s: Mapping[str, float], watch: WatchSettings) -> list[Alert]:
    """`freshness_lag` for each source with a change that waits longer than [watch] freshness_hours; seconds by source."""
    return [
        Alert(
            name="freshness_lag",
            blame=source,
            severity="warning",
            message=f"a change in {source} waits for {seconds / HOUR_S:.0f} hours and no answer knows it; "
            f"{watch.freshness_hours:g} hours are allowed.",
            remedy="Run `steelyard ingest`, or keep `steelyard ingest --watch` running.",
            evidence={"waiting_s": round(seconds), "allowed_s": watch.freshness_hours * HOUR_S},
        )
        for source, seconds in sorted(waiting_s.items())
        if seconds > watch.freshness_hours * HOUR_S
    ]


def watch_ingest(failing: Sequence[tuple[str, str]], documents: int, sources: Sequence[str]) -> list[Alert]:
    """`ingest_failing` for each source with files that the last ingest could not read, as (path, reason)."""
    by_source: dict[str, list[tuple[str, str]]] = {}
    for path, reason in failing:
        owner = max((one for one in sources if path == one or path.startswith(f"{one}/")), key=len, default="sources")
        by_source.setdefault(owner, []).append((path, reason))
    found = []
    for source, files in sorted(by_source.items()):
        named = "; ".join(f"{path}: {reason}" for path, reason in files[:SHOWN_FAILING])
        more = f" and {len(files) - SHOWN_FAILING} more" if len(files) > SHOWN_FAILING else ""
        found.append(
            Alert(
                name="ingest_failing",
                blame=source,
                severity="critical" if len(files) > max(1, documents) / 2 else "warning",
                message=f"{len(files)} file{'s' if len(files) > 1 else ''} of {source} cannot be read: {named}{more}.",
                remedy="Mend or remove them and run `steelyard ingest`; what they said before goes on answering.",
                evidence={"files": len(files), "documents": documents},
            )
        )
    return found


def watch_retrieval(kept: Sequence[GenerationQuality], in_force: int, watch: WatchSettings) -> list[Alert]:
    """`retrieval_quality_drop` where the generation in force finds fewer gold documents than those before it on the same questions.

    The drop must be more than [watch] retrieval_drop, and shown beyond chance.
    """
    found = []
    for now in (one for one in kept if one.generation == in_force):
        before = [
            one
            for one in kept
            if one.component == now.component and one.gold == now.gold and one.generation < now.generation
        ][-COMPARED:]
        if not before:
            continue
        usual = sum(one.recall_at_5 for one in before) / len(before)
        error = sum(_error(one) for one in before) / len(before)
        drop = shown_drop((usual, error), (now.recall_at_5, _error(now)))
        if drop > 0 and usual - now.recall_at_5 > watch.retrieval_drop:
            found.append(
                Alert(
                    name="retrieval_quality_drop",
                    blame=now.component,
                    severity="critical",
                    message=f"generation {now.generation} finds the right document for {now.recall_at_5:.0%} of "
                    f"{now.questions} gold questions; the {len(before)} before it: {usual:.0%}.",
                    remedy="See `steelyard quality`; answer from the generation before with `steelyard generations use N`, "
                    "and look at what changed in the documents.",
                    evidence={"recall_at_5": now.recall_at_5, "before": usual, "drop_at_least": round(drop, 4)},
                )
            )
    return found


def _error(one: GenerationQuality) -> float:
    """The standard error behind the record's 95 % interval; of at least one question in so many."""
    z = NormalDist().inv_cdf(0.975)
    return max((one.recall_high - one.recall_low) / (2 * z), 0.5 / max(1, one.questions) / math.sqrt(3))


def watch_models(models: Sequence[BaseModel], watch: WatchSettings) -> list[Alert]:
    """`base_model_ending` for each model in use that is switched off within [watch] base_model_days, or is already."""
    found = []
    for one in models:
        if one.days is None or one.days > watch.base_model_days:
            continue
        when = f"in {one.days} days" if one.days >= 0 else f"{-one.days} days ago"
        found.append(
            Alert(
                name="base_model_ending",
                blame=one.used_by,
                severity="critical" if one.days <= watch.base_model_days / 3 else "warning",
                message=f"{one.name} is switched off on {one.ends}, {when}; {one.used_by} uses it.",
                remedy=_SUCCESSOR if one.used_by == GENERATOR else _TUNED_SUCCESSOR,
                evidence=one.to_json(),
            )
        )
    return found


GENERATOR = "the generator"
"""What a model is used by that no single component was tuned on."""

_SUCCESSOR = "Name its successor under [models.generator], then run `steelyard weigh` and `steelyard release`."
_TUNED_SUCCESSOR = (
    "Name its successor under [models.tuning], then run `steelyard train`, `steelyard weigh` and `steelyard release`."
)


def base_model(name: str, used_by: str, ends: date | None, today: date) -> BaseModel:
    """A model in use and how many days are left to it."""
    return BaseModel(
        name=name,
        used_by=used_by,
        ends=None if ends is None else ends.isoformat(),
        days=None if ends is None else (ends - today).days,
    )
