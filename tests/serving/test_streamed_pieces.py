"""A part that makes its text piece by piece is streamed so; every other part is there at once."""

from __future__ import annotations

from collections.abc import Iterator

from steelyard.schema.corpus import Citation
from steelyard.schema.outputs import Output, Request, Usage
from steelyard.schema.runs import VersionRecord
from steelyard.schema.scope import Scope
from steelyard.schema.serving import InForce, Served
from steelyard.serving.pipeline import LoadedPart, Pipeline

WORDS = ("Four ", "tools, ", "for a week.")


class Speaking:
    """Answers word by word."""

    name = "speaking"

    def predict(self, request: Request, scope: Scope) -> Output:
        return Output(text="".join(WORDS), usage=Usage(tokens_in=7, tokens_out=3, seconds=0.0, usd=0.25))

    def stream(self, request: Request, scope: Scope) -> Iterator[str | Output]:
        yield from WORDS
        yield self.predict(request, scope)


class Silent:
    """Answers at once."""

    name = "silent"

    def predict(self, request: Request, scope: Scope) -> Output:
        return Output(text="Four.")


def pipeline(candidate: object) -> Pipeline:
    record = VersionRecord(
        component="answer",
        candidate="speaking",
        version=1,
        dataset="d",
        inputs="i",
        artefact="a",
        folder="f",
        code_version="c",
        seed=0,
        seconds=0.0,
        metrics={},
        created="2026-01-01T00:00:00+00:00",
    )
    part = LoadedPart(record=record, task="answer", candidate=candidate)  # type: ignore[arg-type]

    def placed(citation: Citation) -> Citation:
        return citation

    in_force = InForce(release=1, generation=0, versions=(("answer", "speaking", 1),))
    return Pipeline(in_force, {"answer": part}, search=None, placed=placed, cpu_hour_usd=0.0)


def test_pieces_come_before_the_whole_and_together_are_its_text() -> None:
    *pieces, whole = pipeline(Speaking()).stream("answer", Request(text="How many?"), Scope())
    assert tuple(pieces) == WORDS
    assert isinstance(whole, Served)
    assert whole.text == "".join(WORDS)
    assert whole.parts[0].name == "answer/speaking@1"
    assert whole.tokens == (7, 0, 3)
    assert whole.cost_usd == 0.25  # the generator's money; the machine's time costs nothing here


def test_what_is_there_at_once_is_one_piece() -> None:
    (whole,) = pipeline(Silent()).stream("answer", Request(text="How many?"), Scope())
    assert isinstance(whole, Served)
    assert whole.text == "Four."
