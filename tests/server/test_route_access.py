"""The access matrix over all routes and all kinds of caller."""

from __future__ import annotations

import pytest
from fastapi import FastAPI

from server.served import Door
from steelyard.schema.errors import BrokenError
from steelyard.server.access_matrix import MATRIX, OPEN, check_rows, routes_of

LET_IN = {
    None: {OPEN, "ask"},  # the tests' workspace lets anonymous askers in as the public
    "ask": {OPEN, "ask"},
    "staff": {OPEN, "ask"},
    "operate": {OPEN, "operate"},
    "both": {OPEN, "ask", "operate"},
    "revoked": {OPEN},
    "expired": {OPEN},
    "bad": {OPEN},
}
"""Kind of caller to the roles of routes that it may call; anonymous is None."""

NOBODY = {"revoked", "expired", "bad"}


def concrete(path: str) -> str:
    for place in ("{model:path}", "{name}", "{id}", "{path:path}"):
        path = path.replace(place, "steelyard")
    return path


def test_every_route_has_a_row_and_every_row_a_route(door: Door) -> None:
    assert set(routes_of(door.site.routes)) == set(MATRIX)


def test_a_route_without_a_row_does_not_start() -> None:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_api_route("/api/everything", lambda: {}, methods=["GET"])
    with pytest.raises(BrokenError, match="GET /api/everything is not in the access matrix"):
        check_rows(app.routes)


@pytest.mark.parametrize("kind", list(LET_IN))
def test_each_kind_of_caller_reaches_its_routes_and_no_other(door: Door, kind: str | None) -> None:
    for (method, path), role in MATRIX.items():
        answer = door.call(method, concrete(path), {} if method == "POST" else None, key=kind)
        place = f"{method} {path} by {kind}: {answer.status_code} {answer.text[:200]}"
        if role in LET_IN[kind]:
            assert answer.status_code not in (401, 403), place
        else:
            assert answer.status_code == (401 if kind in NOBODY else 403), place
            assert set(answer.json()) == {"error"}, place
            assert {"code", "message", "remedy"} <= set(answer.json()["error"]), place


def test_without_an_anonymous_scope_a_caller_without_a_key_gets_nothing(door: Door) -> None:
    settings = door.site.identity._settings
    object.__setattr__(settings, "anonymous", None)
    try:
        for (method, path), role in MATRIX.items():
            answer = door.call(method, concrete(path), {} if method == "POST" else None)
            assert (answer.status_code == 401) == (role != OPEN), f"{method} {path}"
            if role != OPEN:
                assert answer.headers["www-authenticate"].startswith("Bearer")
    finally:
        object.__setattr__(settings, "anonymous", "public")


def test_a_body_is_not_read_before_its_sender_is_known(door: Door) -> None:
    answer = door.client.post("/api/ask", content=b"{" * 300_000, headers={"Authorization": "Bearer nothing"})
    assert answer.status_code == 401
