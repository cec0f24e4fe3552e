"""Served answers as the JSON that routes give."""

from __future__ import annotations

from typing import Any

from steelyard.schema.corpus import Hit
from steelyard.schema.serving import Served


def traced(served: Served) -> dict[str, Any]:
    """What every answer carries; see `bodies.Traced`."""
    return {
        "trace_id": served.id,
        "release": served.release,
        "generation": served.generation,
        "latency_ms": round(served.latency_ms, 3),
        "cost_usd": served.cost_usd,
        "component_trace": [part.to_json() for part in served.parts],
    }


def places(served: Served) -> list[dict[str, Any]]:
    """The citations of an answer."""
    return [citation.to_json() for citation in served.citations]


def asked(served: Served) -> dict[str, Any]:
    """An answer of the answer part; the keys of `steelyard ask --json`."""
    return {
        "answer": served.text,
        "abstained": served.abstained,
        "citations": places(served),
        **_alone(served),
    }


def routed(served: Served) -> dict[str, Any]:
    """A classification; the keys of `steelyard route --json`."""
    return {
        "label": served.label or "",
        "probability": 1.0 if served.probability is None else served.probability,
        "out_of_scope": served.out_of_scope,
        **_alone(served),
    }


def written(served: Served) -> dict[str, Any]:
    """A reply of the write part."""
    return {"text": served.text, "abstained": served.abstained, **_alone(served)}


def responded(served: Served) -> dict[str, Any]:
    """A reply of the whole pipeline."""
    return {
        "text": served.text,
        "handoff": served.handoff,
        "label": served.label,
        "probability": served.probability,
        "out_of_scope": served.out_of_scope,
        "citations": places(served),
        **traced(served),
    }


def found(served: Served) -> dict[str, Any]:
    """The passages of a search."""
    return {"hits": [_hit(hit) for hit in served.hits], **traced(served)}


def _alone(served: Served) -> dict[str, Any]:
    part = served.parts[0]
    return {"candidate": part.candidate, "version": part.version, **traced(served)}


def _hit(hit: Hit) -> dict[str, Any]:
    # Who else may see a passage is nobody's business: its access rule stays inside.
    passage = hit.passage
    return {
        "id": passage.id,
        "document": passage.document,
        "version": passage.version,
        "title": passage.title,
        "start": passage.start,
        "end": passage.end,
        "text": passage.text,
        "heading": list(passage.heading),
        "page": passage.page,
        "valid_from": passage.valid_from.isoformat(),
        "score": hit.score,
        "scores": dict(hit.parts),
        "copies": len(hit.copies),
    }
