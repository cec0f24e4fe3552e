"""OpenTelemetry spans of answers, where the API is installed and configured; names follow the GenAI conventions, no text is in them."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from steelyard.schema.serving import AnswerNote

OPERATIONS = {"answer": "execute_tool", "classify": "execute_tool", "write": "execute_tool"}
"""What the conventions call a part of an agent's work; the request itself is `invoke_agent`, a search `retrieval`."""

PROVIDER = "steelyard"


@cache
def _tracer() -> Any:
    try:
        from opentelemetry import trace
    except ImportError:
        return None
    return trace.get_tracer("steelyard")


def trace_answer(record: AnswerNote, arm: str) -> None:
    """A span of the request with one span for each part; nothing where OpenTelemetry is not installed, or no provider is set.

    Attributes: https://opentelemetry.io/docs/specs/semconv/gen-ai/; those of our own begin with `steelyard.`.
    """
    tracer = _tracer()
    if tracer is None:
        return
    from opentelemetry import trace

    served = record.served
    end = int(datetime.fromisoformat(served.at).timestamp() * 1e9)
    begin = end - int(served.latency_ms * 1e6)
    operation = "retrieval" if served.kind == "search" else "invoke_agent"
    tokens_in, _, tokens_out = served.tokens
    whole = tracer.start_span(
        f"{operation} {served.kind}",
        kind=trace.SpanKind.SERVER,
        start_time=begin,
        attributes={
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": PROVIDER,
            "gen_ai.agent.name": served.kind,
            "gen_ai.response.id": served.id,
            "gen_ai.usage.input_tokens": tokens_in,
            "gen_ai.usage.output_tokens": tokens_out,
            "steelyard.release": served.release or 0,
            "steelyard.generation": served.generation,
            "steelyard.arm": arm,
            "steelyard.abstained": served.abstained,
            "steelyard.out_of_scope": served.out_of_scope,
            "steelyard.cost_usd": served.cost_usd,
            "steelyard.citations": len(served.citations),
        },
    )
    if whole.is_recording():
        context = trace.set_span_in_context(whole)
        at = begin
        for part in served.parts:
            span = tracer.start_span(
                f"{OPERATIONS[part.task]} {part.component}",
                context=context,
                start_time=at,
                attributes={
                    "gen_ai.operation.name": OPERATIONS[part.task],
                    "gen_ai.provider.name": PROVIDER,
                    "gen_ai.tool.name": part.component,
                    "gen_ai.response.model": part.name,
                    "gen_ai.usage.input_tokens": part.tokens_in,
                    "gen_ai.usage.output_tokens": part.tokens_out,
                    "steelyard.cost_usd": part.cost_usd,
                },
            )
            at += int(part.latency_ms * 1e6)
            span.end(end_time=at)
    whole.end(end_time=end)
