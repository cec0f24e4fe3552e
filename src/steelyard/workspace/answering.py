"""`ask` and `route`: one request to the recommended, or a named, candidate version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from time import perf_counter
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from steelyard.models.metered_generator import spending_on
from steelyard.registry.answers_audit import AnswersAudit
from steelyard.registry.versions import RECOMMENDED, utc_now, whoami
from steelyard.schema.audit import AnswerRecord, Cited, digest, question_hash
from steelyard.schema.corpus import Citation
from steelyard.schema.errors import UserError
from steelyard.schema.outputs import Output, Request
from steelyard.schema.releases import RequestTrace
from steelyard.schema.scope import Scope

if TYPE_CHECKING:
    from steelyard.schema.runs import VersionRecord
    from steelyard.workspace.parts import Parts

PREFERRED: Mapping[str, tuple[str, ...]] = {
    "answer": ("rag-hybrid", "rag-bm25", "closed-book"),
    "classify": ("linear", "knn", "tfidf"),
    "write": ("exemplar", "template"),
}
"""What answers before anything was weighed: the plain member of each family."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One answer, with what made it. `latency_ms` is the time of the candidate's call, loading left out."""

    answer: str
    abstained: bool
    citations: tuple[Citation, ...]
    component_trace: tuple[Mapping[str, Any], ...]
    latency_ms: float
    cost_usd: float
    trace_id: str
    candidate: str
    version: int
    generation: int
    release: int | None

    def to_json(self) -> dict[str, Any]:
        """The answer with the keys of `ask --json`."""
        out = dict(self.__dict__)
        out["citations"] = [citation.to_json() for citation in self.citations]
        out["component_trace"] = [dict(step) for step in self.component_trace]
        return out


@dataclass(frozen=True, kw_only=True)
class Routed:
    """One classification, with what made it."""

    label: str
    probability: float
    out_of_scope: bool
    candidate: str
    version: int
    latency_ms: float
    trace_id: str
    release: int | None

    def to_json(self) -> dict[str, Any]:
        """The classification with the keys of `route --json`."""
        return dict(self.__dict__)


def ask(
    parts: Parts,
    question: str,
    scope: Scope,
    *,
    as_of: datetime | None,
    generation: int | None,
    candidate: str | None,
    component: str | None,
) -> Asked:
    """One answer for one asker.

    Raises:
        UserError: nothing was trained or ingested yet, or both a date and a generation are named.
        NotFoundError: no such component, candidate or generation.
        StoreError: the index does not show what the library holds.
    """
    if as_of is not None and generation is not None:
        raise UserError(
            "both a date and a generation are named.", remedy="Give --as-of or --generation.", code="ask.two_times"
        )
    name = parts.component_for("answer", component)
    serving = version_for(parts, name, "answer", candidate)
    record = serving.record
    if as_of is not None:
        generation = parts.toolbox.library.generation_at(as_of).number
    if generation is not None:
        parts.toolbox.library.generation(generation)
    elif serving.generation is not None:
        generation = serving.generation
    answerer = parts.training.load(record, generation)
    parts.toolbox.warm_up(record.candidate, generation)
    start, purpose = perf_counter(), f"ask {name}/{record.candidate}"
    output = spending_on(purpose)(answerer.predict)(Request(text=question, at=as_of), scope)
    seconds = perf_counter() - start
    used = parts.toolbox.generation if generation is None else generation
    cost_usd = seconds * parts.settings.economics.cpu_hour_usd / 3600 + output.usage.usd
    kept = _Kept(output=output, kind="answer", latency_ms=seconds * 1000, scope=scope, as_of=as_of, cost_usd=cost_usd)
    return Asked(
        answer=output.text,
        abstained=output.abstained,
        citations=tuple(map(parts.toolbox.library.placed, output.citations)) if output.citations else (),
        component_trace=(
            {
                "component": name,
                "candidate": record.candidate,
                "version": record.version,
                "probability": output.probability,
                "passages": [hit.passage.id for hit in output.hits],
                **dict(output.trace),
            },
        ),
        latency_ms=seconds * 1000,
        cost_usd=cost_usd,
        trace_id=_note(parts, serving, used, question, kept),
        candidate=record.candidate,
        version=record.version,
        generation=used,
        release=serving.release,
    )


def route(parts: Parts, text: str, *, candidate: str | None, component: str | None) -> Routed:
    """One classification.

    Raises:
        UserError: nothing was trained yet.
        NotFoundError: no such component or candidate.
    """
    name = parts.component_for("classify", component)
    serving = version_for(parts, name, "classify", candidate)
    record = serving.record
    router = parts.training.load(record)
    parts.toolbox.warm_up(record.candidate)
    start = perf_counter()
    output = router.predict(Request(text=text), Scope())
    latency_ms = (perf_counter() - start) * 1000
    return Routed(
        label=output.label or "",
        probability=output.probability if output.probability is not None else 1.0,
        out_of_scope=output.out_of_scope,
        candidate=record.candidate,
        version=record.version,
        latency_ms=latency_ms,
        trace_id=_note(
            parts,
            serving,
            parts.toolbox.generation,
            text,
            _Kept(output=output, kind="classify", latency_ms=latency_ms),
        ),
        release=serving.release,
    )


@dataclass(frozen=True, kw_only=True)
class Serving:
    """The version that answers, the release that says so (None without one), and the generation that it is pinned to."""

    record: VersionRecord
    release: int | None = None
    generation: int | None = None


def version_for(parts: Parts, component: str, task: str, candidate: str | None) -> Serving:
    """What answers for a component: the named candidate's newest version, else what is released, else recommended, else a plain one.

    Raises:
        UserError: nothing was trained yet.
        NotFoundError: there is no such candidate, or it was never trained.
    """
    if candidate is not None:
        parts.training.check_candidate(component, candidate)
        return Serving(record=parts.registry.get(component, candidate))
    release = parts.releases.in_force()
    if release is not None and component in release.versions:
        record = parts.registry.get(component, *release.versions[component])
        return Serving(record=record, release=release.number, generation=release.generation if release.pinned else None)
    recommended = parts.registry.alias(component, RECOMMENDED)
    if recommended is not None:
        return Serving(record=recommended)
    trained = {record.candidate: record for record in parts.registry.versions(component)}
    for name in (*PREFERRED[task], *trained):
        if name in trained:
            return Serving(record=trained[name])
    raise UserError(
        f"component '{component}' has no trained candidate.",
        remedy="Run `steelyard train` (or `steelyard weigh`) first.",
        code="workspace.not_trained",
    )


@dataclass(frozen=True, kw_only=True)
class _Kept:
    """What the audit keeps of an answer, beside the versions that gave it."""

    output: Output
    kind: str
    latency_ms: float
    scope: Scope = field(default_factory=Scope)
    as_of: datetime | None = None
    cost_usd: float = 0.0


def _note(parts: Parts, serving: Serving, generation: int, text: str, kept: _Kept) -> str:
    """Keep which versions answered, and the sealed record of the answer; returns the id to ask for it by."""
    record = serving.record
    keep_text = parts.settings.releases.keep_questions
    trace = RequestTrace(
        id=uuid4().hex,
        at=utc_now(),
        component=record.component,
        candidate=record.candidate,
        version=record.version,
        release=serving.release,
        generation=generation,
        dataset=record.dataset,
        text=text if keep_text else None,
    )
    parts.requests.note(trace)
    who = whoami()
    answered = AnswerRecord(
        trace_id=trace.id,
        at=trace.at,
        kind=kept.kind,
        key_id=f"terminal:{who}",
        name=who,
        user=kept.scope.user,
        groups=tuple(sorted(kept.scope.groups)),
        release=serving.release,
        generation=generation,
        versions=(record.name,),
        passages=tuple(hit.passage.id for hit in kept.output.hits),
        citations=tuple(map(Cited.of, kept.output.citations)),
        question=question_hash(trace.id, text),
        answer=digest(kept.output.text),
        cost_usd=kept.cost_usd,
        latency_ms=kept.latency_ms,
        abstained=kept.output.abstained,
        label=kept.output.label,
        as_of=None if kept.as_of is None else kept.as_of.isoformat(),
        text=trace.text,
    )
    AnswersAudit(parts.state.audit).note_alone(answered)
    return trace.id
