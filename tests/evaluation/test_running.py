"""One candidate on one set of items, and one benchmark by name: what is recorded of each item, and what is not hidden."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from inspect import signature
from pathlib import Path
from threading import Event
from typing import Self

import pytest

from steelyard.evaluation.benchmarks import BENCHMARKS, WITH_PEERS, _load, run_benchmark
from steelyard.evaluation.refresh import MARK, index_refresh_seconds
from steelyard.evaluation.run import WARM_UP, request_of, run_items, scope_of
from steelyard.evaluation.scoring import Truth, primary_metric, score
from steelyard.schema.corpus import Citation, Hit, Passage
from steelyard.schema.errors import ModelError, NotFoundError, SpendCapError, UserError
from steelyard.schema.items import Item
from steelyard.schema.outputs import Output, Request, Usage
from steelyard.schema.scope import Access, Scope


class Parrot:
    """Says the message back, fails on `boom`, and remembers what it was asked."""

    name = "parrot"

    def __init__(self) -> None:
        self.asked: list[tuple[Request, Scope]] = []

    def fit(self, train: Sequence[Item], validation: Sequence[Item]) -> Self:
        return self

    def predict(self, request: Request, scope: Scope) -> Output:
        self.asked.append((request, scope))
        if request.text == "boom":
            raise ModelError("the model fell over.", remedy="Load it again.")
        if request.text == "broke":
            raise SpendCapError("the money is spent.")
        return Output(text=request.text, label=request.text, usage=Usage(tokens_in=3, tokens_cached=4, tokens_out=5))

    def save(self, folder: Path) -> None: ...

    def load(self, folder: Path) -> Self:
        return self


def _answer(name: str, text: str, **more) -> Item:
    return Item(id=name, task="answer", text=text, **{"answers": (text,), **more})


def _scored(items: Sequence[Item], parrot: Parrot | None = None):
    return run_items(parrot or Parrot(), items, lambda item, out: score(item, out, Truth()), primary="accuracy")


def test_a_failed_prediction_scores_zero_and_keeps_its_message() -> None:
    first, second = _scored([_answer("a", "four"), _answer("b", "boom")])

    assert (first.scores["accuracy"], first.error) == (1.0, None)
    assert (second.scores, second.error) == ({"accuracy": 0.0}, "the model fell over.")


def test_a_spent_cap_stops_the_run_instead_of_scoring_zeros() -> None:
    with pytest.raises(SpendCapError):
        _scored([_answer("a", "four"), _answer("b", "broke"), _answer("c", "five")])


class Waiting(Parrot):
    """Waits at the first message that is not warm-up until the last was asked."""

    def __init__(self, last: str) -> None:
        super().__init__()
        self.reached, self._last = Event(), last

    def predict(self, request: Request, scope: Scope) -> Output:
        if request.text == self._last:
            self.reached.set()
        if request.text == "first" and len(self.asked) >= WARM_UP:
            assert self.reached.wait(60.0)
        return super().predict(request, scope)


def test_with_several_in_flight_no_prediction_waits_for_its_neighbour_and_results_stay_in_order() -> None:
    texts = ["first", "b", "c", "d", "e", "last"]
    items = [_answer(text, text) for text in texts]
    found = run_items(
        Waiting("last"), items, lambda item, out: score(item, out, Truth()), primary="accuracy", at_once=2
    )

    assert [one.output for one in found] == texts


class Slow(Parrot):
    """Takes a moment for everything but what ends the run."""

    def predict(self, request: Request, scope: Scope) -> Output:
        if request.text != "broke" and len(self.asked) >= WARM_UP:
            Event().wait(0.1)
        return super().predict(request, scope)


def test_a_cap_that_is_spent_with_several_in_flight_starts_nothing_more() -> None:
    slow = Slow()
    items = [_answer(text, text) for text in ("a", "b", "c", "broke", *map(str, range(200)))]
    with pytest.raises(SpendCapError):
        run_items(slow, items, lambda item, out: score(item, out, Truth()), primary="accuracy", at_once=4)

    assert len(slow.asked) < 50


def test_tokens_read_from_a_cache_are_counted_as_tokens_in() -> None:
    result = _scored([_answer("a", "four")])[0]

    assert (result.tokens_in, result.tokens_out) == (7, 5)


def test_gold_fields_never_reach_the_candidate() -> None:
    parrot = Parrot()
    item = _answer("a", "what?", source="docs/a.md", groups=frozenset({"staff"}), label="fees")
    _scored([item], parrot)

    request, scope = parrot.asked[-1]
    assert request == Request(text="what?")
    assert scope == Scope(groups=frozenset({"staff"}))
    assert request_of(item, datetime(2026, 1, 1, tzinfo=UTC)).at == datetime(2026, 1, 1, tzinfo=UTC)
    assert scope_of(item).user is None


def test_items_share_a_cluster_with_what_comes_from_the_same_document() -> None:
    items = [
        _answer("a", "x", source="docs/a.md", group="g"),
        _answer("b", "x", source="docs/a.md"),
        _answer("c", "x", group="g"),
        _answer("d", "x"),
    ]

    assert [one.cluster for one in _scored(items)] == ["docs/a.md", "docs/a.md", "g", "d"]


def test_a_written_reply_is_decided_by_its_kind_where_rows_have_kinds_and_by_closeness_where_not() -> None:
    kind = Item(id="a", task="write", text="hi", label="greet", output="Hello")
    bare = Item(id="b", task="write", text="hi", output="Hello")

    assert primary_metric("write", [bare]) == "chrf"
    assert primary_metric("write", [bare, kind]) == "fitting"
    assert primary_metric("answer", [kind]) == "accuracy"


def test_a_reply_of_another_kind_is_wrong_and_a_declined_one_is_a_handoff() -> None:
    item = Item(id="a", task="write", text="hi", label="greet", output="Hello {name}", slots={"name": "Ada"})

    right = score(item, Output(text="Hello Ada", label="greet", template="Hello {name}"), Truth())
    other = score(item, Output(text="Bye Ada", label="part", template="Bye {name}"), Truth())
    lost = score(item, Output(text="Hello friend", label="greet", template="Hello friend"), Truth())
    none = score(item, Output(abstained=True), Truth())

    assert [(one["fitting"], one["wrong"], one["declined"]) for one in (right, other, lost, none)] == [
        (1.0, 0.0, 0.0),
        (0.0, 1.0, 0.0),
        (0.0, 1.0, 0.0),
        (0.0, 0.0, 1.0),
    ]


def test_handing_over_a_message_out_of_scope_is_right_and_costs_a_handoff() -> None:
    outside = Item(id="a", task="classify", text="sing", label="out_of_scope")
    inside = Item(id="b", task="classify", text="pay", label="money")
    handed = Output(label="out_of_scope", out_of_scope=True, probability=0.7)
    wrong = Output(label="visit", probability=0.9)

    def figures(item: Item, output: Output) -> tuple[float, float, float]:
        found = score(item, output, Truth())
        return found["accuracy"], found["wrong"], found["declined"]

    assert figures(outside, handed) == (1.0, 0.0, 1.0)
    assert figures(inside, handed) == (0.0, 0.0, 1.0)
    assert figures(inside, wrong) == (0.0, 1.0, 0.0)


def test_what_was_true_once_is_stale_and_what_may_not_be_seen_leaks() -> None:
    old = _answer("a", "price?", answers=("12 EUR",), valid_to=datetime(2026, 1, 1, tzinfo=UTC))
    new = _answer("b", "price?", answers=("14 EUR",), valid_from=datetime(2026, 1, 1, tzinfo=UTC))
    truth = Truth(dated=(old, new), at=datetime(2026, 6, 1, tzinfo=UTC))

    assert score(new, Output(text="It is 12 EUR"), truth)["stale_answers"] == 1.0
    assert score(new, Output(text="It is 14 EUR"), truth)["stale_answers"] == 0.0
    hidden = _answer("c", "code?", answers=("4711",), answerable=False)
    assert score(hidden, Output(text="The code is 4711"), truth)["leaks"] == 1.0
    assert score(hidden, Output(abstained=True), truth)["leaks"] == 0.0


def _passage() -> Passage:
    return Passage(
        id="docs/a.md@000000000000:0-5",
        document="docs/a.md",
        version="0" * 64,
        title="A",
        start=0,
        end=5,
        text="A tool",
        heading=(),
        page=None,
        access=Access(allow=("staff",)),
        valid_from=datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_a_cited_version_that_was_never_stored_counts_as_a_leak_and_as_invalid() -> None:
    quote = Citation(document="docs/a.md", version="f" * 64, start=0, end=5, quote="A too", heading=(), page=None)
    item = _answer("a", "what?", answers=("A tool",), source="docs/a.md")
    output = Output(text="A tool", citations=(quote,), hits=(Hit(passage=_passage(), score=1.0),))

    found = score(item, output, Truth())

    assert found["citation_validity"] == 0.0
    assert found["evidence_recall"] == 1.0
    # One passage that this asker may not see, and one citation of a version that does not exist.
    assert found["leaks"] == 2.0


class Stage:
    """A generation of its own that finds, or loses, what was put into it."""

    def __init__(self, *, keeps: bool) -> None:
        self.keeps = keeps
        self.put_in: list[Passage] = []
        self.undone = 0

    def put(self, passage: Passage) -> None:
        self.put_in.append(passage)

    def finds(self, question: str, scope: Scope) -> list[str]:
        return [one.id for one in self.put_in if self.keeps and one.access.permits(scope)]

    def undo(self) -> None:
        self.undone += 1


def test_a_refresh_is_timed_to_the_answer_and_leaves_nothing_behind() -> None:
    stage = Stage(keeps=True)

    seconds = index_refresh_seconds(stage, _passage(), "everyone")

    assert seconds is not None
    assert seconds >= 0
    assert stage.undone == 1
    edited = stage.put_in[0]
    assert MARK in edited.text
    assert edited.id != _passage().id


def test_an_edit_that_is_not_found_again_claims_no_time() -> None:
    stage = Stage(keeps=False)

    assert index_refresh_seconds(stage, _passage(), "everyone") is None
    assert stage.undone == 1


def test_an_unknown_benchmark_names_the_nearest_and_a_missing_folder_what_to_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(NotFoundError, match="Did you mean 'router'") as caught:
        run_benchmark("rooter", None, lambda *_: None)
    assert caught.value.code == "bench.unknown"

    monkeypatch.setenv("STEELYARD_SHARED", str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="--data") as missing:
        run_benchmark("retrieval", None, lambda *_: None)
    assert missing.value.code == "bench.no_data"


def test_every_benchmark_of_the_table_can_be_loaded() -> None:
    assert all(callable(_load(target)) for target in BENCHMARKS.values())


@pytest.mark.parametrize("name", sorted(WITH_PEERS))
def test_a_benchmark_with_peers_takes_their_python(name: str) -> None:
    assert "peers" in signature(_load(BENCHMARKS[name])).parameters
