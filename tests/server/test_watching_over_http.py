"""What a serving process notes, shows and hears: /metrics, /api/status, /api/feedback, spans."""

from __future__ import annotations

import re
from time import time

import pytest

from steelyard.schema.watching import ALERTS, WHOLE_REQUEST

QUESTION = "How long may I keep a tool?"


def ask(door, key: str = "staff") -> dict:
    done = door.call("POST", "/api/ask", {"question": QUESTION}, key=key)
    assert done.status_code == 200, done.text
    return done.json()


def calls(door, trace: str) -> list[dict]:
    door.site.observer.recorder.flush()
    return door.site.running.parts.operations.calls(trace)


def test_every_answer_is_noted_whole_and_by_part_without_its_text(door) -> None:
    done = door.call("POST", "/api/respond", {"text": QUESTION}, key="staff")
    noted = calls(door, done.json()["trace_id"])
    components = [one["component"] for one in noted]
    assert components[0] == WHOLE_REQUEST
    assert set(components[1:]) <= set(door.site.settings.components)
    assert all(one["key"].startswith("k") and one["at"] <= time() for one in noted)
    assert not any(QUESTION in str(value) for one in noted for value in one.values())


def test_an_answer_counts_under_the_source_that_it_rests_on(door) -> None:
    told = ask(door)
    if told["citations"]:
        paths = [one.path for one in door.site.settings.sources]
        (source,) = {one["source"] for one in calls(door, told["trace_id"]) if one["component"] == WHOLE_REQUEST}
        assert source in paths
        assert told["citations"][0]["document"].startswith(f"{source}/")
    else:
        assert told["abstained"]


def test_metrics_count_what_was_answered_over_all_processes(door) -> None:
    def counted() -> float:
        text = door.call("GET", "/metrics", key="operate").text
        found = re.findall(r'steelyard_requests_total\{.*component="request".*\} ([\d.e+]+)', text)
        return sum(float(one) for one in found)

    before = counted()
    for _ in range(3):
        ask(door)
    assert counted() == before + 3


def test_metrics_are_in_the_format_that_prometheus_reads(door) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    ask(door)
    done = door.call("GET", "/metrics", key="operate")
    assert done.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {one.name: one for one in text_string_to_metric_families(done.text)}
    assert {"steelyard_requests", "steelyard_latency_seconds", "steelyard_cost_usd", "steelyard_alert"} <= set(families)
    assert {sample.labels["alert"] for sample in families["steelyard_alert"].samples} == set(ALERTS)
    latency = families["steelyard_latency_seconds"].samples
    infinite = [one.value for one in latency if one.labels.get("le") == "+Inf"]
    counts = [one.value for one in latency if one.name.endswith("_count")]
    assert sorted(infinite) == sorted(counts)


def test_the_status_is_what_the_command_shows(door) -> None:
    ask(door)
    told = door.call("GET", "/api/status", key="operate").json()
    assert {"alerts", "components", "spend", "break_even", "decisions", "trials", "feedback"} <= set(told)
    assert set(told) == set(door.site.workspace.watched().to_json())


@pytest.mark.parametrize("path", ["/metrics", "/api/status"])
def test_only_operators_see_what_is_watched(door, path) -> None:
    assert door.call("GET", path, key="ask").status_code == 403
    assert door.call("GET", path).status_code in (401, 403)


def test_a_verdict_on_an_answer_of_ones_own_is_kept(door) -> None:
    trace = ask(door)["trace_id"]
    done = door.call(
        "POST", "/api/feedback", {"trace_id": trace, "verdict": "wrong", "answer": "Two weeks."}, key="staff"
    )
    assert done.status_code == 201
    kept = door.site.workspace.feedback("new")[-1]
    assert (kept.request, kept.verdict, kept.answer, kept.question) == (trace, "wrong", "Two weeks.", None)
    assert kept.versions
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@\d+", one) for one in kept.versions)


def test_a_verdict_on_somebody_elses_answer_looks_like_one_on_an_answer_that_never_was(door) -> None:
    trace = ask(door, "staff")["trace_id"]
    other = door.call("POST", "/api/feedback", {"trace_id": trace, "verdict": "right"}, key="ask")
    never = door.call("POST", "/api/feedback", {"trace_id": "0" * 32, "verdict": "right"}, key="ask")
    assert other.status_code == never.status_code == 404
    assert other.json() == never.json()
    assert door.call("POST", "/api/feedback", {"trace_id": trace, "verdict": "right"}, key="both").status_code == 201


def test_a_verdict_must_be_one_of_three(door) -> None:
    done = door.call("POST", "/api/feedback", {"trace_id": "0" * 32, "verdict": "meh"}, key="staff")
    assert done.status_code == 422


def test_a_request_that_breaks_is_noted_with_its_code(door, monkeypatch) -> None:
    def broken(*_: object, **__: object) -> object:
        raise RuntimeError("disk on fire")

    pipeline = door.site.running.current.get()
    monkeypatch.setattr(type(pipeline), "ask", broken)
    assert door.call("POST", "/api/ask", {"question": QUESTION}, key="staff").status_code == 500
    door.site.observer.recorder.flush()
    assert door.site.running.parts.operations.error_codes(time() - 60) == {"server.broken": 1}


def test_spans_name_versions_and_tokens_and_no_text(door, monkeypatch) -> None:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from steelyard.server import tracing

    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    monkeypatch.setattr(tracing, "_tracer", lambda: provider.get_tracer("steelyard"))
    told = ask(door)
    spans = kept.get_finished_spans()
    (whole,) = [one for one in spans if "gen_ai.response.id" in one.attributes]
    parts = [one for one in spans if "gen_ai.tool.name" in one.attributes]
    assert whole.attributes["gen_ai.response.id"] == told["trace_id"]
    assert whole.attributes["gen_ai.operation.name"] == "invoke_agent"
    assert parts
    assert all("@" in one.attributes["gen_ai.response.model"] for one in parts)
    assert all(one.context.trace_id == whole.context.trace_id for one in parts)
    assert not any(QUESTION in str(value) for one in spans for value in one.attributes.values())
