"""What the server keeps of each answer, whom it lets in with a cookie, and when it says that it is enough."""

from __future__ import annotations

import shutil
from http.cookies import SimpleCookie
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from server.served import Door
from steelyard.schema.audit import digest, question_hash
from steelyard.server.limits import RateLimit
from steelyard.server.sessions import COOKIE, CSRF_HEADER
from workspace.tiny import rows, weighed_once


@pytest.fixture(scope="module")
def question(folder: Path) -> str:
    return str(rows(folder / "questions.jsonl")[0]["question"])


def test_an_answer_has_its_record_before_it_is_given(door: Door, question: str) -> None:
    said = door.call("POST", "/api/ask", {"question": question}, key="staff").json()
    entry, record = door.site.audit.audit.get(said["trace_id"])
    staff = door.site.identity.keys.identify(door.keys["staff"])
    assert entry.who == record.key_id == staff.id
    assert (record.user, record.groups, record.kind) == ("bo", ("staff",), "answer")
    assert record.question == question_hash(record.trace_id, question)
    assert record.answer == digest(said["answer"])
    assert record.text is None  # not kept unless the settings say so
    assert [one.quote for one in record.citations] == [digest(one["quote"]) for one in said["citations"]]
    assert record.passages
    assert door.site.audit.audit.verify().whole


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/respond", {"text": "{}"}),
        ("/api/route", {"text": "{}"}),
        ("/api/search", {"query": "{}"}),
        ("/v1/chat/completions", {"model": "steelyard", "messages": [{"role": "user", "content": "{}"}]}),
    ],
)
def test_every_way_of_asking_leaves_one_record(door: Door, question: str, path: str, body: dict) -> None:
    def filled(value):
        if isinstance(value, dict):
            return {name: filled(one) for name, one in value.items()}
        return [filled(one) for one in value] if isinstance(value, list) else value.replace("{}", question)

    before = door.site.audit.audit.count()
    answer = door.call("POST", path, filled(body), key="ask")
    assert answer.status_code == 200, answer.text
    assert door.site.audit.audit.count() == before + 1


def test_what_was_refused_leaves_no_record(door: Door, question: str) -> None:
    before = door.site.audit.audit.count()
    for key in ("revoked", "expired", "bad", "operate"):
        assert door.call("POST", "/api/ask", {"question": question}, key=key).status_code in (401, 403)
    assert door.site.audit.audit.count() == before


def test_a_cookie_asks_only_with_the_token_of_its_session(door: Door, question: str) -> None:
    session, _ = door.site.identity.sign_in(door.keys["ask"])
    sessions = door.site.identity.sessions
    cookie = f"{COOKIE}={SimpleCookie(sessions.cookie(session, secure=False))[COOKIE].value}"
    body = {"question": question}
    refused = door.client.post("/api/ask", json=body, headers={"cookie": cookie})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "identity.csrf")
    token = sessions.csrf(session)
    assert door.client.post("/api/ask", json=body, headers={"cookie": cookie, CSRF_HEADER: token}).status_code == 200
    assert door.client.post(f"/api/ask?csrf={token}", json=body, headers={"cookie": cookie}).status_code == 200
    assert door.client.get("/v1/models", headers={"cookie": cookie}).status_code == 200


def test_a_caller_who_asks_too_often_is_told_when_to_come_back(door: Door, tmp_path: Path, monkeypatch) -> None:
    limit = RateLimit(tmp_path / "limits", per_minute=6, burst=3)
    monkeypatch.setattr(door.site, "limits", limit)
    codes = [door.call("GET", "/v1/models", key="ask").status_code for _ in range(5)]
    assert codes == [200, 200, 200, 429, 429]
    late = door.call("GET", "/v1/models", key="ask")
    assert late.json()["error"]["code"] == "limits.rate"
    assert 1 <= int(late.headers["retry-after"]) <= 10
    assert door.call("GET", "/v1/models", key="staff").status_code == 200
    limit.close()


def test_a_request_above_the_size_is_refused_before_it_is_read(door: Door) -> None:
    large = {"question": "x" * (door.site.settings.serve.max_body_bytes + 1)}
    answer = door.call("POST", "/api/ask", large, key="ask")
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "limits.body")


def test_no_answer_is_given_when_its_record_cannot_be_kept(tmp_path: Path, question: str) -> None:
    from steelyard.server.app import make_app

    made = Path(shutil.copytree(weighed_once(), tmp_path / "broken"))
    (made / ".steelyard" / "audit.sqlite").write_bytes(b"no database" * 1000)
    app = make_app(made)
    with TestClient(app, raise_server_exceptions=False) as client:
        _, token = app.state.site.identity.keys.create("asker")
        answer = client.post("/api/ask", json={"question": question}, headers={"x-api-key": token})
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "audit.not_kept"
    assert "answer" not in answer.json()


def test_a_served_answer_names_its_version_at_the_command_line(door: Door, question: str, folder: Path) -> None:
    from steelyard.workspace import Workspace

    said = door.call("POST", "/api/respond", {"text": question}, key="ask").json()
    trace, record = Workspace(folder).request(said["trace_id"])
    assert trace.component == record.component == "answer"
