"""Errors over HTTP: one JSON shape, a status by kind, and nothing that tells an absent document from a hidden one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from steelyard.schema.errors import (
    BrokenError,
    ForbiddenError,
    IdentityError,
    LimitError,
    NotFoundError,
    SteelyardError,
    UserError,
)

OPENAI_PATHS = "/v1/"
"""Paths whose errors carry the fields that OpenAI's clients read as well: type and param."""


class UnavailableError(BrokenError):
    """The server cannot answer now; `status` 503 (try again) or 504 (it took too long)."""

    def __init__(
        self, message: str, *, status: int, remedy: str, code: str, retry_after_s: float | None = None
    ) -> None:
        self.status = status
        self.retry_after_s = retry_after_s
        super().__init__(message, remedy=remedy, code=code)


class RefusedError(UserError):
    """A request that HTTP itself refuses: its path, its method, its size or its form; `status` says how."""

    def __init__(
        self, message: str, *, status: int, remedy: str, code: str, headers: Mapping[str, str] | None = None
    ) -> None:
        self.status = status
        self.headers = dict(headers or {})
        super().__init__(message, remedy=remedy, code=code)


TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    413: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
}
"""OpenAI's `type` by status; anything else is `server_error`."""


def status_of(error: SteelyardError) -> int:
    """The HTTP status of an error."""
    own = getattr(error, "status", None)
    if own is not None:
        return int(own)
    if isinstance(error, LimitError):
        return 413 if error.retry_after_s is None else 429
    for kind, status in ((IdentityError, 401), (ForbiddenError, 403), (NotFoundError, 404), (UserError, 400)):
        if isinstance(error, kind):
            return status
    return 500


def headers_of(error: SteelyardError) -> dict[str, str]:
    """The headers that go with an error: how to say who one is, when to come back."""
    headers = dict(getattr(error, "headers", {}))
    if isinstance(error, IdentityError):
        headers["WWW-Authenticate"] = 'Bearer realm="steelyard"'
    wait = getattr(error, "retry_after_s", None)
    if wait is not None:
        headers["Retry-After"] = str(max(1, round(wait)))
    return headers


def body_of(error: SteelyardError, path: str, request_id: str) -> dict[str, Any]:
    """`{error: {code, message, remedy}}`, under /v1/ with `type` and `param`; what broke inside is not told to strangers."""
    status = status_of(error)
    if status == 500:
        told: dict[str, Any] = {
            "code": error.code,
            "message": "the server could not answer this request.",
            "remedy": f"Tell the operator this id: {request_id}.",
        }
    else:
        told = {"code": error.code, "message": error.message, "remedy": error.remedy}
    if path.startswith(OPENAI_PATHS):
        told |= {"type": TYPES.get(status, "server_error"), "param": getattr(error, "param", None)}
    return {"error": told}


def packed(error: SteelyardError, path: str, request_id: str) -> bytes:
    """The body as JSON bytes."""
    return json.dumps(body_of(error, path, request_id), ensure_ascii=False).encode("utf-8", "replace")
