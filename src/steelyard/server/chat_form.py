"""Served answers in the form of OpenAI's chat API: whole, and in pieces."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from steelyard.schema.serving import InForce, Served
from steelyard.server import shown

WHOLE = "steelyard"
"""The model name of the whole pipeline; `steelyard/COMPONENT` is one part."""

PIECE = re.compile(r".+?(?:[.!?…]+[\"'”’)]*\s+|\n+|$)", re.DOTALL)
"""A sentence with the space after it: the unit in which an answer that is there at once is streamed."""

CountTokens = Callable[[Sequence[str]], Sequence[int]]


def pieces(text: str) -> list[str]:
    """The sentences of a text; together they are the text, character for character.

    >>> pieces("One. Two? Three")
    ['One. ', 'Two? ', 'Three']
    """
    return [found for found in PIECE.findall(text) if found]


def said(served: Served, handoff_text: str) -> str:
    """What the assistant says: the text, a classification's label, or the sentence that hands over to a person."""
    if served.kind == "classify":
        return served.label or ""
    return served.text or handoff_text


def usage(served: Served, question: str, text: str, count: CountTokens) -> dict[str, Any]:
    """See `bodies_chat.ChatUsage`."""
    tokens_in, cached, out = served.tokens
    if not (tokens_in or cached or out):
        tokens_in, out = count([question, text])
    prompt = tokens_in + cached
    return {
        "prompt_tokens": prompt,
        "completion_tokens": out,
        "total_tokens": prompt + out,
        "prompt_tokens_details": {"cached_tokens": cached},
    }


def trace(served: Served) -> dict[str, Any]:
    """See `bodies_chat.ChatTrace`."""
    told = shown.traced(served)
    return {
        "trace_id": served.id,
        "release": served.release,
        "generation": served.generation,
        "handoff": served.handoff,
        "label": served.label,
        "probability": served.probability,
        "out_of_scope": served.out_of_scope,
        "citations": shown.places(served),
        "parts": told["component_trace"],
        "latency_ms": told["latency_ms"],
        "cost_usd": told["cost_usd"],
    }


def completion(served: Served, model: str, text: str, used: Mapping[str, Any]) -> dict[str, Any]:
    """A whole answer; see `bodies_chat.ChatCompletion`."""
    return {
        **_head(served.id, "chat.completion", model, _created(served.at)),
        "system_fingerprint": _fingerprint(served.release, served.generation),
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": dict(used),
        "steelyard": trace(served),
    }


class Chunks:
    """The events of one streamed answer, as server-sent events; every one carries the id of the answer."""

    def __init__(self, answer_id: str, model: str, created: int) -> None:
        self._head = _head(answer_id, "chat.completion.chunk", model, created)

    def begin(self) -> bytes:
        """The first event: who speaks."""
        return self._event({"role": "assistant", "content": ""})

    def piece(self, text: str) -> bytes:
        """One piece of the text."""
        return self._event({"content": text})

    def end(self, served: Served, used: Mapping[str, Any] | None) -> Iterator[bytes]:
        """The last events: the reason it ended with Steelyard's own field, the usage where it was asked for, and the mark of the end."""
        fingerprint = _fingerprint(served.release, served.generation)
        yield self._event({}, finish="stop", system_fingerprint=fingerprint, steelyard=trace(served))
        if used is not None:
            yield _packed({**self._head, "choices": [], "usage": dict(used)})
        yield b"data: [DONE]\n\n"

    def _event(self, delta: Mapping[str, Any], *, finish: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": dict(delta), "logprobs": None, "finish_reason": finish}
        return _packed({**self._head, "choices": [choice], **more})


def models(in_force: InForce, created: int) -> list[dict[str, Any]]:
    """Every name that `model` takes, with the versions behind it."""
    names = {component: f"{component}/{candidate}@{version}" for component, candidate, version in in_force.versions}
    cards = {WHOLE: list(names.values())} | {f"{WHOLE}/{component}": [name] for component, name in names.items()}
    return [
        {"id": name, "object": "model", "created": created, "owned_by": "steelyard", "parts": parts}
        for name, parts in cards.items()
    ]


def _head(answer_id: str, kind: str, model: str, created: int) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{answer_id}",
        "object": kind,
        "created": created,
        "model": model,
    }


def _fingerprint(release: int | None, generation: int) -> str:
    return f"release-{release or 0}-generation-{generation}"


def _created(at: str) -> int:
    return int(datetime.fromisoformat(at).timestamp())


def _packed(event: Mapping[str, Any]) -> bytes:
    return f"data: {json.dumps(event, ensure_ascii=False)}\n\n".encode("utf-8", "replace")
