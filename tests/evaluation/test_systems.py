"""Whole systems: what passes from part to part, what a case is scored on, which parts a system is put together from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import pytest
from hand_made import items, listed, run, settings, split

from steelyard.candidates.system import System
from steelyard.components.slots import fill
from steelyard.evaluation.bakeoff import decide_component
from steelyard.evaluation.systems import CaseResult, compare_systems, parts_of, run_cases, system_result
from steelyard.schema.corpus import Citation
from steelyard.schema.errors import ModelError
from steelyard.schema.items import Item
from steelyard.schema.outputs import Output, Request
from steelyard.schema.scope import Access, Scope
from steelyard.schema.weighing import ComponentResult


class Part:
    """A part of a system that gives a fixed output, or what a function makes of the request."""

    name = "part"

    def __init__(self, output: Output | None = None, make=None) -> None:
        self.output = output
        self.make = make
        self.asked: list[tuple[Request, Scope]] = []

    def fit(self, train: Sequence[Item], validation: Sequence[Item]) -> Self:
        return self

    def predict(self, request: Request, scope: Scope) -> Output:
        self.asked.append((request, scope))
        return self.output if self.make is None else self.make(request)

    def save(self, folder: Path) -> None: ...

    def load(self, folder: Path) -> Self:
        return self


ANSWER = "Late tools cost 0.50 EUR a day, at most 10 EUR {really}."
CITED = Citation(document="docs/fees.txt", version="1" * 64, start=0, end=4, quote="Late", heading=("Fees",), page=None)
SCOPE = Scope(groups=frozenset({"staff"}))


def _filled(template: str):
    def make(request: Request) -> Output:
        slots = {"answer": "(no answer)", **request.slots}
        return Output(text=fill(template, slots), template=template)

    return make


def test_the_answer_stands_in_the_reply_word_for_word() -> None:
    writer = Part(make=_filled("Hello {name}, {answer} See {page}."))
    system = System(
        router=Part(Output(label="money")), answerer=Part(Output(text=ANSWER, citations=(CITED,))), writer=writer
    )

    output = system.respond(Request(text="late fee?", slots={"name": "Ada"}), SCOPE)

    assert output.text == f"Hello Ada, {ANSWER} See Fees."
    request, scope = writer.asked[0]
    assert dict(request.slots) == {"name": "Ada", "answer": ANSWER, "page": "Fees"}
    assert (request.label, scope) == ("money", SCOPE)


def test_an_answer_given_with_the_message_is_never_passed_on() -> None:
    writer = Part(make=lambda request: Output(text="written"))
    system = System(router=None, answerer=Part(Output(abstained=True)), writer=writer)

    system.respond(Request(text="?", slots={"name": "Ada", "answer": "gold", "page": "gold"}), SCOPE)

    assert dict(writer.asked[0][0].slots) == {"name": "Ada"}


def test_a_message_out_of_scope_is_not_looked_up() -> None:
    answerer = Part(Output(text="secret"))
    router = Part(Output(label="out_of_scope", out_of_scope=True))
    system = System(router=router, answerer=answerer, writer=Part(Output(text="We cannot help with that.")))

    output = system.respond(Request(text="sing"), SCOPE)

    assert answerer.asked == []
    assert output.answered is None
    assert output.text == "We cannot help with that."


def test_an_answer_is_not_withheld_because_the_writer_has_no_words_for_it() -> None:
    silent = Part(Output(abstained=True))

    found = System(router=None, answerer=Part(Output(text=ANSWER)), writer=silent).respond(Request(text="?"), SCOPE)
    declined = System(router=None, answerer=Part(Output(abstained=True, text=ANSWER)), writer=silent)

    assert found.text == ANSWER
    assert declined.respond(Request(text="?"), SCOPE).text == ""


def test_parts_that_are_left_out_leave_the_rest_as_it_is() -> None:
    only = System(router=None, answerer=Part(Output(text=ANSWER)), writer=None)

    assert only.respond(Request(text="?"), SCOPE).text == ANSWER
    assert (
        System(router=Part(Output(label="a")), answerer=None, writer=None).respond(Request(text="?"), SCOPE).text == ""
    )


def _case(**more) -> Item:
    base = {"id": "c", "task": "answer", "text": "fee?", "label": "money", "answers": ("0.50 EUR",)}
    return Item(**{**base, **more})


def _run(case: Item, system: System, access: Access | None = None) -> CaseResult:
    return run_cases(system, [case], access_of=lambda *_: access)[0]


def _system(label: str = "money", answer: str = ANSWER, template: str = "Hi {name}. {answer} {agent}") -> System:
    router = Part(Output(label=label, out_of_scope=label == "out_of_scope"))
    answerer = Part(Output(text=answer, abstained=not answer))
    return System(router=router, answerer=answerer, writer=Part(make=_filled(template)))


WHO = {"name": "Ada", "agent": "Marit"}


def test_a_case_is_right_when_every_part_is() -> None:
    found = _run(_case(slots=WHO), _system())

    assert dict(found.scores) == {"intent": 1.0, "answer": 1.0, "reply": 1.0}
    assert found.right == 1.0


@pytest.mark.parametrize(
    ("system", "wrong"),
    [
        (_system(label="visit"), "intent"),
        (_system(answer="It is free."), "answer"),
        (_system(template="Hi there. {answer} {agent}"), "reply"),
    ],
)
def test_a_case_is_wrong_when_one_part_is(system: System, wrong: str) -> None:
    found = _run(_case(slots=WHO), system)

    assert [name for name, value in found.scores.items() if value == 0.0] == [wrong]
    assert found.right == 0.0


def test_a_fact_that_the_writer_lost_has_not_been_answered() -> None:
    found = _run(_case(slots=WHO), _system(template="Hi {name}, we will look. {agent}"))

    assert found.scores["answer"] == 0.0


def test_a_part_that_fails_makes_its_case_wrong_and_no_other() -> None:
    def fails(request: Request) -> Output:
        raise ModelError("the model fell over.")

    system = System(router=Part(Output(label="money")), answerer=Part(make=fails), writer=None)

    found = _run(_case(), system)

    assert (dict(found.scores), found.right) == ({"intent": 0.0, "answer": 0.0}, 0.0)


def test_declining_a_message_out_of_scope_is_right() -> None:
    case = _case(label="out_of_scope", answers=(), answerable=False, slots=WHO)

    found = _run(case, _system(label="out_of_scope", template="Hi {name}, not ours. {agent}"))
    other = _run(case, _system(label="money"))

    assert (found.scores["intent"], found.scores["answer"], found.right) == (1.0, 1.0, 1.0)
    assert (other.scores["intent"], other.scores["answer"]) == (0.0, 0.0)


def test_telling_what_the_asker_may_not_know_is_a_leak() -> None:
    hidden = _case(answerable=False, slots=WHO)

    assert _run(hidden, _system()).leaks == 1
    assert _run(hidden, _system(answer="")).leaks == 0
    citing = System(router=None, answerer=Part(Output(text=ANSWER, citations=(CITED,))), writer=None)
    assert _run(_case(), citing, Access(allow=("everyone",))).leaks == 0
    assert _run(_case(), citing, Access(allow=("staff",))).leaks == 1


def _component(name: str, **right: float) -> ComponentResult:
    approaches = {"retrieve": "rag", "better": "rag", "tuned": "fine_tune"}
    runs = [
        run(one, [1.0] * round(20 * share) + [0.0] * (20 - round(20 * share)), approach=approaches[one])
        for one, share in right.items()
    ]
    made = decide_component(name, "classify", split(items(20)), runs, listed(runs), settings(), updates_per_year=1.0)
    return made


def test_a_pure_system_takes_the_best_of_its_approach_and_the_hybrid_what_is_recommended() -> None:
    first = _component("intent", retrieve=0.4, better=0.9, tuned=0.5)
    second = _component("reply", retrieve=0.9, tuned=0.3)

    assert parts_of("pure_rag", [first, second]) == {"intent": "better", "reply": "retrieve"}
    assert parts_of("pure_fine_tune", [first, second]) == {"intent": "tuned", "reply": "tuned"}
    assert parts_of("hybrid", [first, second]) == {
        "intent": first.decision.candidate,
        "reply": second.decision.candidate,
    }
    assert parts_of("pure_fine_tune", [first, _component("x", retrieve=0.9)]) is None


def test_a_systems_money_is_that_of_its_parts_and_its_latency_that_of_the_whole() -> None:
    first, second = _component("intent", retrieve=0.5), _component("reply", retrieve=0.9)
    rows = [
        CaseResult(
            case=str(at),
            text="t",
            output="o",
            expected="e",
            scores={"answer": right},
            right=right,
            seconds=0.01,
            leaks=0,
        )
        for at, right in enumerate([1.0, 0.0, 1.0, 1.0])
    ]

    found = system_result("hybrid", {"intent": "retrieve", "reply": "retrieve"}, rows, [first, second])

    totals = [one.candidates[0].usd_total for one in (first, second)]
    assert found.usd_total == pytest.approx(sum(totals))
    assert (found.p50_ms, found.p95_ms) == (pytest.approx(10.0), pytest.approx(10.0))
    assert (found.quality.mean, found.metrics["answer"].mean) == (0.75, 0.75)
    assert [sample["right"] for sample in found.samples] == [False, True, True, True] or len(found.samples) <= 6
    assert all({"text", "output", "expected", "right"} == set(sample) for sample in found.samples)


def test_systems_are_compared_on_the_same_cases() -> None:
    def rows(right: Sequence[float]) -> list[CaseResult]:
        return [
            CaseResult(case=str(at), text="", output="", expected="", scores={}, right=one, seconds=0.0, leaks=0)
            for at, one in enumerate(right)
        ]

    good, poor = rows([1.0] * 40), rows([0.0] * 40)

    found = compare_systems({"hybrid": good, "pure_rag": poor, "twin": good})

    verdicts = {(one.first, one.second): one.verdict for one in found}
    assert verdicts["hybrid", "pure_rag"] == "better"
    assert verdicts["hybrid", "twin"] == "no_difference"
    assert compare_systems({"hybrid": good}) == ()
