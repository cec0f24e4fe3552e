"""A citation says which part of the text that is given it supports, also where the answer stands inside a longer reply."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from steelyard.cli.app import app
from steelyard.schema.corpus import Citation
from steelyard.schema.serving import Served
from steelyard.server.pages.ask_room import Asking, cites
from steelyard.serving.pipeline import moved
from steelyard.workspace import Workspace
from steelyard.workspace.answering import Asked

FIRST, SECOND = "Hiring the winch costs 12 USD.", "It is free on Sundays."
ANSWER = f"{FIRST} {SECOND}"


def cited(quote: str, supports: tuple[int, int] | None, **more: object) -> Citation:
    return Citation(
        document="docs/hire.md", version="0" * 64, start=0, end=len(quote), quote=quote, heading=("Hire",), page=3,
        supports=supports, **more
    )  # fmt: skip


CITATIONS = (
    cited(FIRST, (0, len(FIRST)), copies=(cited(FIRST, (0, len(FIRST))),)),
    cited(SECOND, (len(FIRST) + 1, len(ANSWER))),
)


def test_the_parts_of_an_answer_are_found_again_in_the_reply_that_holds_it() -> None:
    reply = f"Dear Kim,\n\n{ANSWER}\n\nLee"
    found = moved(CITATIONS, ANSWER, reply)
    assert [reply[slice(*one.supports)] for one in found] == [FIRST, SECOND]
    assert [reply[slice(*one.supports)] for one in found[0].copies] == [FIRST]


def test_a_reply_that_does_not_hold_the_answer_says_of_no_part_that_it_is_supported() -> None:
    found = moved(CITATIONS, ANSWER, "Please see the page on hire.")
    assert [one.supports for one in (*found, *found[0].copies)] == [None] * 3


def test_the_page_says_what_each_of_several_sources_supports() -> None:
    served = Served(
        id="0" * 32, at="2026-01-01", kind="answer", text=ANSWER, release=None, generation=1, parts=(), latency_ms=1.0,
        cost_usd=0.0, citations=CITATIONS,
    )  # fmt: skip
    assert [one.supports for one in cites(served, Asking())] == [FIRST, SECOND]


def test_the_command_says_what_each_of_several_sources_supports(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "steelyard.toml").write_text('[workspace]\nname = "w"\n')
    asked = Asked(
        answer=ANSWER, abstained=False, citations=CITATIONS, component_trace=(), latency_ms=1.0, cost_usd=0.0, trace_id="0",
        candidate="rag-generator", version=1, generation=1, release=None,
    )  # fmt: skip
    monkeypatch.setattr(Workspace, "ask", lambda *_, **__: asked)
    told = CliRunner().invoke(app, ["-w", str(tmp_path), "ask", "What does it cost?"], env={"COLUMNS": "200"})
    assert told.exit_code == 0, told.output
    lines = told.stdout.splitlines()
    assert f"  “{FIRST}” from docs/hire.md, page 3: Hire (characters 0 to {len(FIRST)})" in lines
    assert f"  “{SECOND}” from docs/hire.md, page 3: Hire (characters 0 to {len(SECOND)})" in lines
