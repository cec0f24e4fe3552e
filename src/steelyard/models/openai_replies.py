"""What an OpenAI-compatible server said: its answers read with care, its refusals as errors with a code and a remedy."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from steelyard.schema.errors import GeneratorError, SteelyardError, StoppedError, nearest
from steelyard.schema.generation import TokenUse

SHOWN_CHARS = 200
"""Longest part of a server's own words in an error."""

PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
"""Statuses that may be gone at the next try."""

_ABSENT = re.compile(
    r"pinned|not found|not exist|no such|unknown|not available|not served|invalid model", re.IGNORECASE
)
"""How servers that answer 400 to an unknown model say so."""


def told(body: Any) -> str:
    """The server's own words in a refusal, short and on one line."""
    if isinstance(body, Mapping):
        inner = body.get("error", body)
        body = inner.get("message", inner.get("detail", inner)) if isinstance(inner, Mapping) else inner
    text = body if isinstance(body, str) else json.dumps(body, default=str)
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return text if len(text) <= SHOWN_CHARS else text[: SHOWN_CHARS - 1] + "…"


def reason(body: Any) -> str:
    """The machine-readable code of a refusal, "" where it has none."""
    inner = body.get("error", body) if isinstance(body, Mapping) else None
    found = (inner.get("code") or inner.get("type")) if isinstance(inner, Mapping) else None
    return str(found or "")


def refusal(
    status: int, words: str, kind: str, *, model: str, place: str, served: Sequence[str], key_env: str | None
) -> SteelyardError:
    """The error that a status other than 200 stands for, with the server's `words` and its own `kind` of error.

    `served` are the models that the server lists.
    """
    if status in (401, 403):
        key = f"the key in {key_env}" if key_env else "no key was sent: name its environment variable as key_env"
        return StoppedError(
            f"the server refused the key ({status}): {words}",
            where=place,
            remedy=f"Check {key}." if key_env else f"Set it under [models.generator]; {key}.",
            code="generator.key_refused",
        )
    if status == 402 or kind == "insufficient_quota":
        return StoppedError(
            f"the account has no credit left: {words}",
            where=place,
            remedy="Add credit at the provider, then run the command again: what was answered is kept.",
            code="generator.no_credit",
        )
    if status == 404:
        return unknown_model(model, words, place, served)
    if status == 429:
        return GeneratorError(
            f"too many requests, after all retries: {words}",
            where=place,
            remedy="Lower concurrency under [models.generator], or raise retries.",
            code="generator.rate_limited",
        )
    if 300 <= status < 400:
        return StoppedError(
            f"the server sends callers elsewhere ({status}).",
            where=place,
            remedy="Write the address it sends to as base_url; prompts follow no redirect.",
            code="generator.moved",
        )
    if status >= 500 or status in PASSING:
        return GeneratorError(
            f"the server failed ({status}), after all retries: {words}",
            where=place,
            remedy="Look at the server's log; run the command again when it works.",
            code="generator.server_error",
        )
    if status == 413 or kind == "context_length_exceeded" or "context length" in words.lower():
        return GeneratorError(
            f"the prompt is too long for the model: {words}",
            where=place,
            remedy="Set context_tokens under [models.generator] to what the model can read.",
            code="generator.too_long",
        )
    if model in words and _ABSENT.search(words):
        return unknown_model(model, words, place, served)
    return GeneratorError(
        f"the server refused the request ({status}): {words}",
        where=place,
        remedy="Compare the model's own limits with [models.generator].",
        code="generator.refused_request",
    )


def unknown_model(model: str, words: str, place: str, served: Sequence[str]) -> StoppedError:
    """The error of a model that the server does not have."""
    near = nearest(model, served)
    if model in served:
        hint = "Its list has that model: check that base_url ends where /chat/completions begins, as a rule in /v1."
    elif near:
        hint = f"Did you mean '{near[0]}'?"
    elif served:
        hint = f"It serves: {', '.join(served[:8])}{', …' if len(served) > 8 else ''}."
    else:
        hint = "Check model and base_url under [models.generator]."
    return StoppedError(
        f"the server has no model '{model}': {words}", where=place, remedy=hint, code="generator.unknown_model"
    )


def malformed(what: str, place: str) -> GeneratorError:
    """The error of an answer that is no chat completion."""
    return GeneratorError(
        f"the server's answer is no chat completion: {what}.",
        where=place,
        remedy="Check that base_url ends where /chat/completions begins, as a rule in /v1.",
        code="generator.malformed",
    )


def read_completion(body: Any, place: str) -> tuple[str, str | None, str, TokenUse | None]:
    """Text, finish reason, model and tokens of a chat completion's JSON.

    Raises:
        GeneratorError: it is none (`generator.malformed`), has no answer in it (`generator.empty`), or was filtered.
    """
    if not isinstance(body, Mapping):
        raise malformed(f"{told(body)!r}", place)
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
        raise GeneratorError(
            "the server answered without a choice.",
            where=place,
            remedy="Look at the server's log; the model may have failed to load.",
            code="generator.empty",
            use=read_use(body.get("usage")),
        )
    message = choices[0].get("message")
    text = message.get("content") if isinstance(message, Mapping) else None
    finish = choices[0].get("finish_reason")
    use = read_use(body.get("usage"))
    check_filter(finish, place, use)
    if text is None and finish == "length":
        text = ""  # a model that thinks first, cut before it spoke
    if not isinstance(text, str):
        raise malformed("its message has no text", place)
    return text, finish if isinstance(finish, str) else None, str(body.get("model") or ""), use


def check_filter(finish: Any, place: str, use: TokenUse | None) -> None:
    """Nothing, unless the provider's filter cut the answer.

    Raises:
        GeneratorError: it did.
    """
    if finish == "content_filter":
        raise GeneratorError(
            "the provider's content filter cut the answer.",
            where=place,
            remedy="See the provider's rules on content; the prompt or the passages set it off.",
            code="generator.filtered",
            use=use,
        )


def read_use(usage: Any) -> TokenUse | None:
    """Tokens by class from a `usage` record; None where there is none."""
    if not isinstance(usage, Mapping) or not isinstance(usage.get("prompt_tokens"), int):
        return None
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, Mapping) else None
    cached = cached if isinstance(cached, int) else 0
    output = usage.get("completion_tokens")
    return TokenUse(
        input=max(0, usage["prompt_tokens"] - cached), cached=cached, output=output if isinstance(output, int) else 0
    )


def is_same_model(asked: str, answered: str) -> bool:
    """Whether an answer's model is the one that was asked for: the same name, or one that it stands for.

    >>> is_same_model("gpt-5.4-mini", "gpt-5.4-mini-2026-03-05"), is_same_model("big", "small")
    (True, False)
    """
    short = answered.rsplit("/", 1)[-1]
    return not answered or answered.startswith(asked) or short.startswith(asked.rsplit("/", 1)[-1])
