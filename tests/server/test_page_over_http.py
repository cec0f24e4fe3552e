"""The page's promises that need no browser: policy, forms that other sites cannot press, sources that are not told of, empty rooms."""

from __future__ import annotations

import re
from html import unescape
from types import SimpleNamespace

import pytest

from server.served import Door
from steelyard.decision.report import render_json
from steelyard.server.pages.decision_room import context, moved_context, read_numbers
from steelyard.server.pages.rendering import ROOMS, _template, moment, own_path
from steelyard.workspace.moving import MovableDecision

BROWSER = {"accept": "text/html,application/xhtml+xml"}
STYLED = re.compile(r"<style|\sstyle=|<script(?![^>]*src=)|\son\w+=|javascript:", re.IGNORECASE)


def visitor(door: Door, kind: str):
    """A client with the cookie of a signed-in session and nothing else, and its token."""
    from fastapi.testclient import TestClient

    client = TestClient(door.client.app, headers=BROWSER, follow_redirects=False)
    token = re.search(r'name="csrf" value="(\w+)"', client.get("/sign-in").text).group(1)
    answer = client.post(f"/sign-in?csrf={token}", data={"key": door.keys[kind], "next": "/models"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/models")
    fresh = re.search(r'name="csrf" value="(\w+)"', client.get("/sign-in").text).group(1)
    assert fresh != token, "signing in starts another session"
    return client, fresh


def test_every_page_carries_the_strict_policy_and_nothing_inline(door: Door) -> None:
    for room in ROOMS:
        answer = door.call("GET", f"/{room}", key="both")
        policy = answer.headers["content-security-policy"]
        assert answer.status_code == 200, room
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["cache-control"] == "no-store"
        assert STYLED.search(answer.text) is None, room
        assert re.findall(r'(?:src|href|action)="(?:https?:)?//', answer.text) == [], room


def test_a_visitor_without_a_key_is_led_to_the_sign_in_and_back(door: Door) -> None:
    answer = door.client.get("/models", headers=BROWSER | {"authorization": "Bearer nothing"}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/models")
    client, _ = visitor(door, "both")
    assert client.get("/models").status_code == 200


@pytest.mark.parametrize(
    "path", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", ""]
)
def test_a_sign_in_leads_to_this_site_only(path: str) -> None:
    assert own_path(path) == "/"


@pytest.mark.parametrize("path", ["/ask", "/ask/feedback", "/corpus/use", "/models/release", "/models/roll-back"])
def test_a_form_of_another_site_changes_nothing(door: Door, path: str) -> None:
    client, token = visitor(door, "both")
    releases = len(door.site.workspace.releases())
    assert client.post(path, data={"text": "hello", "release": "1", "generation": "1"}).status_code == 403
    assert client.post(f"{path}?csrf={'0' * 64}", data={"text": "hello"}).status_code == 403
    foreign = {"sec-fetch-site": "cross-site"}
    assert client.post(f"{path}?csrf={token}", data={"text": "hello"}, headers=foreign).status_code == 403
    assert len(door.site.workspace.releases()) == releases


def test_another_site_neither_signs_out_nor_changes_the_appearance(door: Door) -> None:
    client, token = visitor(door, "both")
    for path in ("/sign-out", "/appearance"):
        answer = client.post(path, data={"theme": "dark", "csrf": "0" * 64})
        assert answer.status_code == 303
        assert "set-cookie" not in answer.headers
    assert client.get("/models").status_code == 200
    assert (
        "steelyard_theme=dark"
        in client.post("/appearance", data={"theme": "dark", "csrf": token}).headers["set-cookie"]
    )


def test_a_wrong_key_is_refused_in_words_and_a_sign_out_ends_the_session(door: Door) -> None:
    client, token = visitor(door, "both")
    wrong = client.post(f"/sign-in?csrf={token}", data={"key": "sk-none-of-ours"})
    assert wrong.status_code == 400
    assert 'aria-invalid="true"' in wrong.text
    client.post(f"/sign-out?csrf={token}")
    assert client.get("/models").headers["location"].startswith("/sign-in")


def test_only_an_operator_asks_as_somebody_else(door: Door) -> None:
    form = {"text": "How long?", "kind": "search", "asker": "other", "groups": "staff"}
    assert (
        door.client.post("/ask", data=form, headers={"Authorization": f"Bearer {door.keys['ask']}"}).status_code == 403
    )
    allowed = door.client.post("/ask", data=form, headers={"Authorization": f"Bearer {door.keys['both']}"})
    assert allowed.status_code == 200
    assert "in staff" in allowed.text


def test_a_source_shows_the_span_to_who_may_see_it_and_to_others_is_not_there(door: Door) -> None:
    library = door.site.running.parts.toolbox.library
    rows = [(one.document, one.version) for one in library.versions(library.in_force())]
    kinds = {}
    for document, version in rows:
        address = f"/source?document={document}&version={version}&start=0&end=10"
        kinds[document] = {kind: door.call("GET", address, key=kind) for kind in ("ask", "both")}
    hidden = [one for one in kinds.values() if one["ask"].status_code == 404]
    shown = [one for one in kinds.values() if one["ask"].status_code == 200]
    assert hidden
    assert shown
    for one in hidden:
        absent = door.call("GET", f"/source?document=no-such.md&version={'0' * 64}", key="ask")
        assert absent.status_code == 404
        assert {*absent.json()["error"]} == {*one["ask"].json()["error"]}
        assert absent.json()["error"]["code"] == one["ask"].json()["error"]["code"]
    for one in shown:
        marked = re.search(r'<mark id="span">(.*?)</mark>', one["ask"].text, re.DOTALL).group(1)
        assert len(unescape(marked)) == 10


def test_feedback_of_anothers_answer_is_not_taken(door: Door) -> None:
    asked = door.call("POST", "/api/ask", {"question": "How long may I keep a drill?"}, key="both").json()
    form = {"request": asked["trace_id"], "verdict": "wrong"}
    other = {"Authorization": f"Bearer {door.keys['ask']}"}
    refused = [
        door.client.post("/ask/feedback", data={**form, "request": one}, headers=other)
        for one in (asked["trace_id"], asked["trace_id"][:8], "0" * 32, "")
    ]
    # Another's answer, a part of its id, and one that was never given look the same.
    assert {(one.status_code, one.text.replace(one.headers["x-request-id"], "")) for one in refused} == {
        (404, refused[0].text.replace(refused[0].headers["x-request-id"], ""))
    }
    own = {"Authorization": f"Bearer {door.keys['both']}"}
    done = door.client.post("/ask/feedback", data=form, headers=own, follow_redirects=False)
    assert done.headers["location"] == "/ask?noted"
    assert door.site.running.parts.feedback.all()[-1].request == asked["trace_id"]


def test_moved_numbers_change_the_words_and_wrong_ones_are_explained(door: Door) -> None:
    movable: MovableDecision = door.site.workspace.decision()
    at = movable.stored.inputs["queries_per_month"]
    numbers, wrong = read_numbers(
        {"queries_per_month": "1,000,000", "hour_usd": "much", "growth_per_month": "nan"}, movable.knobs
    )
    assert numbers == {"queries_per_month": 1_000_000.0}
    assert set(wrong) == {"hour_usd", "growth_per_month"}
    assert read_numbers({"queries_per_month": f"{at}"}, movable.knobs) == ({}, {})
    moved = moved_context(movable, numbers)
    assert moved["told"].startswith("At 1,000,000 queries a month")
    assert context(movable, {})["told"].startswith("These are the numbers")
    assert render_json(movable.stored) == render_json(door.site.workspace.decision().stored)


def test_texts_of_documents_are_never_markup(door: Door) -> None:
    nasty = '<script>alert(1)</script><mark id="span">'
    answer = door.call("GET", f"/ask?text={nasty}", key="both")
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;" in answer.text


def test_empty_rooms_say_what_to_do(door: Door) -> None:
    shared = {
        "rooms": list(ROOMS),
        "workspace": "new",
        "who": None,
        "csrf": "x",
        "theme": "auto",
        "here": "/",
        "version": "0",
        "w": __import__("steelyard.decision.wording", fromlist=["wording"]),
        "moment": moment,
        "notice": None,
    }
    nothing = SimpleNamespace(hours=24, alerts=(), decisions=(), components=(), slices=())
    pages = {
        "decision": ({"report": None, "empty_text": "Nothing was weighed yet."}, "steelyard weigh"),
        "corpus": ({"corpus": None}, "steelyard ingest"),
        "models": ({"components": {"intent": []}}, "steelyard weigh"),
        "quality": (
            {"trends": {}, "report": None, "watched": nothing, "slices": {}, "measured": []},
            "steelyard weigh",
        ),
        "audit": ({"answers": [], "changes": [], "chains": {}}, "Nobody has asked yet"),
    }
    for room, (more, told) in pages.items():
        assert told in _template(f"{room}.html.j2").render(room=room, **shared, **more), room
