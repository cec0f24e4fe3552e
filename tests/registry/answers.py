"""Records of answers for tests."""

from __future__ import annotations

from typing import Any

from steelyard.schema.audit import AnswerRecord, Cited, digest, question_hash


def answer(number: int, **more: Any) -> AnswerRecord:
    """The record of a made-up answer; its trace id is `number` in hexadecimal."""
    trace = f"{number:032x}"
    values: dict[str, Any] = {
        "trace_id": trace,
        "at": f"2026-11-{number % 28 + 1:02d}T10:00:00.000+00:00",
        "kind": "answer",
        "key_id": "k0123456789",
        "name": "helpdesk",
        "user": "ada",
        "groups": ("staff",),
        "release": 1,
        "generation": 2,
        "versions": ("answer/rag-hybrid@1",),
        "passages": ("docs/fees.md@0123456789ab:0-80",),
        "citations": (Cited(document="docs/fees.md", version="0" * 64, start=0, end=4, quote=digest("fees")),),
        "question": question_hash(trace, "What is the fee?"),
        "answer": digest("2 %"),
        "cost_usd": 0.0001,
        "latency_ms": 12.5,
    }
    return AnswerRecord(**{**values, **more})
