"""`check` and `status`: what is wrong, what is there, what is out of date."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from steelyard.corpus.freshness import Freshness
from steelyard.corpus.seen_files import open_sources
from steelyard.registry.versions import RECOMMENDED
from steelyard.schema.errors import SteelyardError
from steelyard.schema.findings import Finding
from steelyard.schema.progress import Report

if TYPE_CHECKING:
    from steelyard.workspace.parts import Parts
from steelyard.workspace.generating import generator_status, model_findings
from steelyard.workspace.quality import kept_quality
from steelyard.workspace.tuning_control import tuned_models

SEVERITIES = ("error", "warning", "note")


def check_workspace(parts: Parts, report: Report) -> list[Finding]:
    """Every finding about sources and labelled data, errors first, then in file and row order."""
    from steelyard.workspace.auditing import Audit

    found = Audit(parts.examples, parts.toolbox, parts.settings, parts.state).findings(report)
    report("check examples", 1, 3)
    found += _source_findings(parts)
    report("check sources", 2, 3)
    residency = parts.settings.requirements.residency
    found += model_findings(parts.settings.models, parts.folder, residency=residency)
    report("check generator", 3, 3)
    return sorted(found, key=lambda one: (SEVERITIES.index(one.severity), one.file or "", one.row or 0))


def _source_findings(parts: Parts) -> list[Finding]:
    found = []
    for source in parts.settings.sources:
        place = f"steelyard.toml [[sources]] {source.path}"
        if not (parts.folder / source.path).exists():
            found.append(
                Finding(
                    code="corpus.no_source",
                    severity="error",
                    message="the folder does not exist.",
                    remedy="Correct the path, or take the source out.",
                    file=place,
                )
            )
        if not source.allow:
            found.append(
                Finding(
                    code="corpus.nobody_allowed",
                    severity="warning",
                    message="no group may see these documents.",
                    remedy='Add allow = ["everyone"], or the groups that may.',
                    file=place,
                )
            )
    if (
        any(component.task == "answer" for component in parts.settings.components.values())
        and not parts.settings.sources
    ):
        found.append(
            Finding(
                code="corpus.no_sources",
                severity="warning",
                message="there is an answer component and no source of documents.",
                remedy="Add [[sources]]; without them only closed-book candidates can be measured.",
                file="steelyard.toml",
            )
        )
    return found


def workspace_status(parts: Parts, last: dict[str, Any] | None) -> dict[str, Any]:
    """The state as one record: corpus, components with their recommended versions, the last decision, what to do next."""
    generation = parts.toolbox.generation
    corpus: dict[str, Any] | None = None
    if generation:
        made = parts.toolbox.library.generation(generation)
        corpus = {
            "generation": generation,
            "documents": made.documents,
            "passages": made.passages,
            "created": made.created_at.isoformat(timespec="seconds"),
            "failing": [{"path": path, "reason": reason} for path, reason in parts.toolbox.library.failing()],
            **_freshness(parts),
        }
    components = {name: _component_status(parts, name, last) for name in parts.settings.components}
    return {
        "workspace": parts.settings.workspace.name,
        "corpus": corpus,
        "components": components,
        "generator": generator_status(parts.settings.models.generator, parts.folder, parts.toolbox.calls),
        "tuned_models": tuned_models(parts),
        "quality": [one.to_json() for one in kept_quality(parts.state.quality)],
        "last_decision": None if last is None else last["created"],
        "next": _next(parts, corpus, components, last),
    }


def _freshness(parts: Parts) -> dict[str, Any]:
    """Each source with its last scan and how long its changes waited; since when a running `ingest --watch` follows them, or None."""
    with closing(open_sources(parts.state.corpus)) as database:
        freshness = Freshness(database)
        since = freshness.watched_since()
        return {
            "sources": [one.to_json() for one in freshness.sources()],
            "watched_since": None if since is None else since.isoformat(timespec="seconds"),
        }


def _component_status(parts: Parts, name: str, last: dict[str, Any] | None) -> dict[str, Any]:
    record = parts.registry.alias(name, RECOMMENDED)
    decided = (last or {}).get("components", {}).get(name, {})
    out: dict[str, Any] = {
        "task": parts.settings.components[name].task,
        "versions": len(parts.registry.versions(name)),
        "recommended": None if record is None else f"{record.candidate}@{record.version}",
        "recommendation": decided.get("recommendation"),
        "confidence": decided.get("confidence"),
        "data": "not trained yet" if record is None else "unchanged",
        "retrain": None,
    }
    try:
        split = parts.examples.split(name)
        out["rows"] = len(split.train) + len(split.validation) + len(split.holdout)
        if record is not None and record.dataset != split.dataset:
            out["data"] = "changed since the recommended version was trained"
            out["retrain"] = _retrain(parts, name)
    except SteelyardError as error:
        out["data"] = error.message
    return out


def _retrain(parts: Parts, name: str) -> dict[str, Any] | None:
    """Whether to train again, from counts and the learning curve alone: status loads no model."""
    from steelyard.workspace.retraining import Retrainings

    decided = Retrainings(parts).decide(name, look=False)
    return None if decided is None else {"verdict": decided.verdict, "why": decided.why}


def _next(
    parts: Parts, corpus: dict[str, Any] | None, components: dict[str, Any], last: dict[str, Any] | None
) -> list[str]:
    steps = []
    if parts.settings.sources and corpus is None:
        steps.append("steelyard ingest")
    if last is None:
        steps.append("steelyard weigh")
    elif any(one["data"].startswith("changed") for one in components.values()):
        steps.append("steelyard weigh: labelled data changed since the last decision")
    return steps
