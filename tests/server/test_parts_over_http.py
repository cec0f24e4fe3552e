"""The pipeline and its parts over HTTP: what was measured answers, for whom it may, and errors say what to do."""

from __future__ import annotations

from pathlib import Path

from server.served import Door
from steelyard.workspace import Workspace

PUBLIC = "How many tools may I have out at the same time?"
STAFF = "Where is the key of the till kept?"


def test_the_server_answers_as_the_command_line_does(door: Door, folder: Path) -> None:
    told = door.call("POST", "/api/ask", {"question": PUBLIC}).json()
    here = Workspace(folder).ask(PUBLIC).to_json()
    for name in ("answer", "abstained", "citations", "candidate", "version", "generation", "release"):
        assert told[name] == here[name], name
    routed = door.call("POST", "/api/route", {"text": "is the sander free on monday"}).json()
    there = Workspace(folder).route("is the sander free on monday").to_json()
    for name in ("label", "probability", "out_of_scope", "candidate", "version"):
        assert routed[name] == there[name], name


def test_the_pipeline_is_one_call_and_every_part_names_its_version(door: Door) -> None:
    body = {"text": PUBLIC, "slots": {"name": "Kim", "agent": "Lee"}}
    told = door.call("POST", "/api/respond", body).json()
    assert [part["task"] for part in told["component_trace"]] == ["classify", "answer", "write"]
    assert all(
        part["name"] == f"{part['component']}/{part['candidate']}@{part['version']}" for part in told["component_trace"]
    )
    assert told["label"]
    alone = door.call("POST", "/api/ask", {"question": PUBLIC}).json()
    places = [{**one, "supports": None} for one in told["citations"]]
    assert places == [{**one, "supports": None} for one in alone["citations"]]
    # In the reply the answer stands behind a greeting: what a citation supports is a part of the text that is given.
    assert [told["text"][slice(*one["supports"])] for one in told["citations"]] == [
        one["quote"] for one in told["citations"]
    ]
    assert told["citations"]
    chat = {"model": "steelyard", "messages": [{"role": "user", "content": PUBLIC}]}
    chat["steelyard"] = {"slots": {"name": "Kim", "agent": "Lee"}}
    said = door.call("POST", "/v1/chat/completions", chat).json()
    content = said["choices"][0]["message"]["content"]
    cited = said["steelyard"]["citations"]
    assert [content[slice(*one["supports"])] for one in cited] == [one["quote"] for one in cited] != []
    assert alone["answer"] in told["text"]  # the writer touches no fact


def test_only_what_the_asker_may_see_is_found_and_a_hidden_source_looks_like_an_absent_one(door: Door) -> None:
    def documents(key: str | None) -> set[str]:
        hits = door.call("POST", "/api/search", {"query": STAFF, "k": 50}, key=key).json()["hits"]
        return {hit["document"] for hit in hits}

    assert any(name.startswith("docs-staff/") for name in documents("staff"))
    assert not any(name.startswith("docs-staff/") for name in documents(None) | documents("ask"))
    hits = door.call("POST", "/api/search", {"query": STAFF, "k": 50}, key="staff").json()["hits"]
    hidden = next(hit for hit in hits if hit["document"].startswith("docs-staff/"))
    place = {"document": hidden["document"], "version": hidden["version"]}
    assert door.call("GET", "/api/source", key="staff", params=place).status_code == 200
    forbidden = door.call("GET", "/api/source", key="ask", params=place)
    absent = door.call("GET", "/api/source", key="ask", params={**place, "document": "docs-staff/nothing.md"})
    assert forbidden.status_code == absent.status_code == 404
    assert forbidden.text.replace(hidden["document"], "X") == absent.text.replace("docs-staff/nothing.md", "X")
    assert {*forbidden.headers} == {*absent.headers}


def test_a_citation_opens_at_its_span(door: Door) -> None:
    citation = door.call("POST", "/api/ask", {"question": PUBLIC}).json()["citations"][0]
    place = {name: citation[name] for name in ("document", "version", "start", "end")}
    assert door.call("GET", "/api/source", params=place).json()["text"] == citation["quote"]


def test_only_an_operator_asks_as_somebody_else(door: Door) -> None:
    body = {"query": STAFF, "k": 50, "asker": {"user": "bo", "groups": ["staff"]}}
    assert door.call("POST", "/api/search", body, key="staff").status_code == 403
    assert any(
        hit["document"].startswith("docs-staff/")
        for hit in door.call("POST", "/api/search", body, key="both").json()["hits"]
    )


def test_errors_have_one_shape_and_say_what_to_do(door: Door) -> None:
    cases = [
        (door.call("POST", "/api/ask", {"question": PUBLIC, "component": "nothing"}), 404, "serving.which_component"),
        (door.call("POST", "/api/ask", {"question": ""}), 422, "server.malformed"),
        (door.call("POST", "/api/ask", {"queston": PUBLIC}), 422, "server.malformed"),
        (door.call("POST", "/api/search", {"query": "x", "k": "5"}), 422, "server.malformed"),
        (door.call("GET", "/api/nothing"), 404, "server.no_path"),
        (door.call("GET", "/api/ask"), 405, "server.method"),
        (door.client.post("/api/ask", content=b"{"), 422, "server.malformed"),
        (door.client.post("/api/ask", content=b" " * 300_000), 413, "limits.body"),
    ]
    for answer, status, code in cases:
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (status, code)
        assert error["message"]
        assert error["remedy"]


def test_every_answer_carries_the_headers_that_keep_a_browser_careful(door: Door) -> None:
    for answer in (
        door.call("GET", "/healthz"),
        door.call("GET", "/nothing"),
        door.call("POST", "/api/ask", {"question": PUBLIC}),
    ):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert len(answer.headers["x-request-id"]) == 32
        assert "server" not in answer.headers


def test_an_answer_can_be_asked_for_by_its_id(door: Door, folder: Path) -> None:
    told = door.call("POST", "/api/ask", {"question": PUBLIC}).json()
    trace, record = Workspace(folder).request(told["trace_id"])
    assert (trace.candidate, record.version, trace.generation) == (
        told["candidate"],
        told["version"],
        told["generation"],
    )
