"""The access matrix: which role each route asks for. A route without a row does not start."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from steelyard.schema.callers import ASK, OPERATE
from steelyard.schema.errors import BrokenError

OPEN = "open"
"""For everybody, also without a key: says nothing about the workspace's content."""

MATRIX: Mapping[tuple[str, str], str] = {
    ("GET", "/healthz"): OPEN,
    ("GET", "/readyz"): OPEN,
    ("HEAD", "/healthz"): OPEN,
    ("HEAD", "/readyz"): OPEN,
    ("GET", "/openapi.json"): OPEN,
    ("POST", "/api/respond"): ASK,
    ("POST", "/api/ask"): ASK,
    ("POST", "/api/route"): ASK,
    ("POST", "/api/write"): ASK,
    ("POST", "/api/search"): ASK,
    ("GET", "/api/source"): ASK,
    ("GET", "/api/decision"): OPERATE,
    ("POST", "/api/feedback"): ASK,
    ("GET", "/api/status"): OPERATE,
    ("GET", "/metrics"): OPERATE,
    ("POST", "/v1/chat/completions"): ASK,
    ("GET", "/v1/models"): ASK,
    ("GET", "/v1/models/{model:path}"): ASK,
    # The page
    ("GET", "/"): OPEN,
    ("GET", "/page/{name}"): OPEN,
    ("GET", "/sign-in"): OPEN,
    ("POST", "/sign-in"): OPEN,
    ("POST", "/sign-out"): OPEN,
    ("POST", "/appearance"): OPEN,
    ("GET", "/decision"): OPERATE,
    ("GET", "/decision/moved"): OPERATE,
    ("GET", "/ask"): ASK,
    ("POST", "/ask"): ASK,
    ("POST", "/ask/feedback"): ASK,
    ("GET", "/source"): ASK,
    ("GET", "/corpus"): OPERATE,
    ("GET", "/corpus/confirm"): OPERATE,
    ("POST", "/corpus/use"): OPERATE,
    ("GET", "/models"): OPERATE,
    ("GET", "/models/gates"): OPERATE,
    ("POST", "/models/release"): OPERATE,
    ("GET", "/models/back"): OPERATE,
    ("POST", "/models/roll-back"): OPERATE,
    ("GET", "/quality"): OPERATE,
    ("GET", "/audit"): OPERATE,
    ("GET", "/audit/answer"): OPERATE,
}
"""(method, path as the route is written) to the role a caller needs."""


def role_of(method: str, path: str) -> str:
    """The role that a route asks for; HEAD counts as GET.

    Raises:
        BrokenError: the route has no row.
    """
    found = MATRIX.get((method, path)) or MATRIX.get(("GET" if method == "HEAD" else method, path))
    if found is None:
        raise BrokenError(
            f"the route {method} {path} is not in the access matrix.",
            where="server/access_matrix.py",
            remedy="Add a row that says which role may call it.",
            code="server.route_without_row",
        )
    return found


def routes_of(routes: Iterable[Any]) -> list[tuple[str, str]]:
    """(method, path) of every route, mounted folders as GET; HEAD is left out where GET is there."""
    found = []
    for route in routes:
        methods = getattr(route, "methods", None) or {"GET"}
        found += [(one, route.path) for one in sorted(methods) if one != "HEAD" or "GET" not in methods]
    return found


def check_rows(routes: Iterable[Any]) -> None:
    """Nothing, when every route has a row.

    Raises:
        BrokenError: one has none.
    """
    for method, path in routes_of(routes):
        role_of(method, path)
