"""The errors that each route may answer with, for OpenAPI."""

from __future__ import annotations

from typing import Any

from steelyard.server.access_matrix import OPEN
from steelyard.server.bodies import FailureAnswer, OpenAIFailureAnswer

MEANINGS = {
    400: "The request cannot be answered as it is.",
    401: "No key, or one that does not count.",
    403: "The key may not do this.",
    404: "There is no such thing, or the asker may not see it: the two look the same.",
    405: "The path does not take this method.",
    413: "The request is too large.",
    422: "The request does not have the form it must have.",
    429: "Too many requests with this key.",
    500: "Something broke; the operator finds it by the `x-request-id` of the answer.",
    503: "The server is busy or not ready; `Retry-After` says when to come again.",
    504: "The answer took too long.",
}

NEEDS_KEY = (401, 403, 429)

Responses = dict[int | str, dict[str, Any]]


def errors(*statuses: int, role: str, openai: bool = False) -> Responses:
    """The documented errors of a route: those named, what every route may say, and where a key is needed what comes of that."""
    model = OpenAIFailureAnswer if openai else FailureAnswer
    found = sorted({*statuses, 500, 503, *(() if role == OPEN else NEEDS_KEY)})
    return {status: {"model": model, "description": MEANINGS[status]} for status in found}


def body_errors(*statuses: int, role: str, openai: bool = False) -> Responses:
    """`errors` of a route that reads a body and computes."""
    return errors(400, 413, 422, 504, *statuses, role=role, openai=openai)
