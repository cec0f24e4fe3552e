"""The room *Corpus*: sources and how fresh they are, what failed, and the generations that can answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from steelyard.schema.errors import NotFoundError
from steelyard.schema.upkeep import GenerationState

if TYPE_CHECKING:
    from steelyard.workspace import Workspace

MOST_FAILURES = 100


@dataclass(frozen=True, kw_only=True)
class Freshness:
    """One source: how many documents, when it was looked at last, and how long changes waited (None: none was seen)."""

    name: str
    allow: str
    documents: int
    scanned: str | None
    changes: int
    last: str
    worst: str


def context(workspace: Workspace) -> dict[str, Any]:
    """What the template shows; `corpus` None where nothing was ingested."""
    corpus = workspace.status()["corpus"]
    if corpus is None:
        return {"corpus": None}
    rules = {one.path: ", ".join(one.allow) or "nobody" for one in workspace.settings.sources}
    return {
        "corpus": corpus,
        "sources": [_freshness(one, rules) for one in corpus.get("sources", ())],
        "failures": corpus["failing"][:MOST_FAILURES],
        "generations": list(reversed(workspace.generations())),
        "worst": _worst(corpus.get("sources", ())),
    }


def wanted_generation(workspace: Workspace, number: str) -> tuple[GenerationState, GenerationState]:
    """The generation that a form names, and the one that answers.

    Raises:
        NotFoundError: there is no such generation.
    """
    made = {str(one.number): one for one in workspace.generations()}
    now = next((one for one in made.values() if one.answers), None)
    if number not in made or now is None:
        raise NotFoundError("there is no such generation.", remedy="Choose one of the list.", code="page.no_generation")
    return made[number], now


def lag(seconds: float | None) -> str:
    """A waiting time as a reader says it.

    >>> lag(4.2), lag(150), lag(7300), lag(None)
    ('4.2 s', '2.5 min', '2.0 h', '–')
    """
    if seconds is None:
        return "–"
    for size, unit in ((86_400.0, "days"), (3_600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def ago(at: datetime, now: datetime) -> str:
    """How long ago something was: `3.0 h ago`."""
    return f"{lag(max(0.0, (now - at).total_seconds()))} ago"


def _freshness(raw: dict[str, Any], rules: dict[str, str]) -> Freshness:
    waited = raw["lag_s"]
    return Freshness(
        name=raw["source"],
        allow=rules.get(raw["source"], "–"),
        documents=raw["documents"],
        scanned=raw["scanned"],
        changes=raw["changes"],
        last=lag(waited["last"]),
        worst=lag(waited["worst"]),
    )


def _worst(sources: Any) -> str:
    known = [one["lag_s"]["worst"] for one in sources if one["lag_s"]["worst"] is not None]
    return lag(max(known)) if known else "–"
