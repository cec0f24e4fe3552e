"""The tuned writer as a candidate: a real training on a small encoder, slots, fallbacks, saving and loading."""

import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steelyard.candidates import CANDIDATES, write_tuned
from steelyard.candidates.interface import Tools
from steelyard.candidates.write_tuned import fault
from steelyard.models.fake import FakeEncoder
from steelyard.schema.errors import ModelError, NotFittedError, UserError
from steelyard.schema.items import Item
from steelyard.schema.outputs import Request
from steelyard.schema.scope import Scope

pytest.importorskip("torch")

pytestmark = pytest.mark.slow

TOOLS = Tools(encoder=FakeEncoder(32), seed=1)
WORDS = ("today", "please", "again", "now", "monday", "urgent", "still", "hello", "sir", "then", "maybe", "friend")
KINDS = {
    "late": ("where is order", "Hi {name}, order {order} is late. Sorry!", {"name": "Kim", "order": "A-1"}),
    "thanks": ("thank you for helping", "Any time, {name}!", {"name": "Ada"}),
    "closed": ("are you open", "We open at 9 each day.", {}),
}


def replies(labelled):
    return [
        Item(
            id=f"{kind}{at}",
            task="write",
            text=f"{message} {word}",
            output=output,
            slots=slots,
            label=kind if labelled else None,
        )
        for kind, (message, output, slots) in KINDS.items()
        for at, word in enumerate(WORDS)
    ]


def fitted(labelled, tools=TOOLS):
    rows = replies(labelled)
    return CANDIDATES.load("tuned-writer")(tools).fit(rows[0::2] + rows[1::4], rows[3::4])


@pytest.fixture(scope="module", params=[True, False], ids=["labelled", "unlabelled"])
def writer(request):
    return fitted(request.param)


def ask(writer, text, **slots):
    return writer.predict(Request(text=text, slots=slots), Scope())


def test_it_writes_what_was_approved_and_copies_values_verbatim(writer):
    output = ask(writer, "where is order sunday", name="<{name}> é", order="{order} 77")
    assert output.template == KINDS["late"][1]
    assert output.text == "Hi <{name}> é, order {order} 77 is late. Sorry!"
    assert output.label in ("late", None)
    assert dict(output.trace).keys() >= {"written", "score"}
    assert output.usage.tokens_out > 0
    assert output.usage.encoder_tokens > 0


def test_every_value_given_is_placed_once_also_of_slots_that_no_reply_has(writer):
    for names in ((), ("name",), ("order",), ("order", "name", "parcel"), ("parcel", "city")):
        slots = {name: f"<{name}>" for name in names}
        output = ask(writer, "where is order sunday", **slots)
        assert output.text
        assert all(output.text.count(value) == 1 for value in slots.values())


@given(st.sets(st.sampled_from(["name", "order", "parcel", "city", "answer"])), st.sampled_from(sorted(KINDS)))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_value_is_placed_once_also_where_the_tuned_reply_is_not_used(writer, names, kind):
    slots = {name: f"<{name}>" for name in sorted(names)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write_tuned, "fault", lambda *_: "its slots are not those given")
        output = ask(writer, KINDS[kind][0], **slots)
    assert "fallback" in dict(output.trace)
    assert all(output.text.count(value) == 1 for value in slots.values())
    approved = {output for _, output, _ in KINDS.values()}
    assert output.template in approved or "completed" in dict(output.trace)


def test_it_declines_where_every_approved_reply_needs_a_value_that_is_missing(monkeypatch):
    monkeypatch.setattr(write_tuned, "fault", lambda *_: "its slots are not those given")
    rows = [replace(item, output=KINDS["late"][1], slots=KINDS["late"][2]) for item in replies(labelled=False)]
    writer = CANDIDATES.load("tuned-writer")(TOOLS).fit(rows[:24], rows[24:])
    output = ask(writer, "where is order sunday", name="Kim")
    assert output.abstained
    assert "declined" in dict(output.trace)


def test_the_title_of_a_page_stays_out_where_no_reply_places_it(writer):
    output = ask(writer, "thank you for helping today", name="Kim", page="Opening hours")
    assert "Opening hours" not in output.text
    assert ("unused", "page") in output.trace


def test_a_number_comes_from_a_like_reply_or_not_at_all(writer):
    assert ask(writer, "are you open sunday").text == "We open at 9 each day."
    assert "9" not in (ask(writer, "thank you for helping sunday", name="Kim").template or "")


@pytest.mark.parametrize(
    ("template", "names", "source", "why"),
    [
        ("Hi {name}, order {order}.", ("name", "order"), "", None),
        ("Hi {name} {name}.", ("name",), "", "its slots are not those given"),
        ("Hi {name}.", ("name", "order"), "", "its slots are not those given"),
        ("Hi {name}.", (), "", "its slots are not those given"),
        ("Hi {{name}}.", (), "", "it is empty or has a brace of its own"),
        ("  ", (), "", "it is empty or has a brace of its own"),
        ("It takes 5 days.", (), "It takes 14 days.", "it states 5, which no like reply does"),
        ("It takes 14 days.", (), "It took 14, mostly.", None),
        ("Do this:\n1. Wait\n2. Ask", (), "", None),
    ],
)
def test_what_breaks_the_format_or_the_slots_is_never_sent(template, names, source, why):
    assert fault(template, names, source) == why


def test_the_exemplar_answers_where_the_tuned_reply_fails_and_the_trace_says_so(writer, monkeypatch):
    monkeypatch.setattr(write_tuned, "fault", lambda *_: "its slots are not those given")
    request = Request(text="thank you for helping now", slots={"name": "Kim"})
    exemplar = CANDIDATES.load("exemplar")(TOOLS).fit(*_parts(writer))
    output = writer.predict(request, Scope())
    assert output.text == exemplar.predict(request, Scope()).text == "Any time, Kim!"
    assert ("fallback", "the tuned reply was not used: its slots are not those given") in output.trace


def _parts(writer):
    rows = replies(bool(writer._acts))
    return rows[0::2] + rows[1::4], rows[3::4]


def test_predictions_survive_saving_and_loading_without_torch(writer, tmp_path):
    writer.save(tmp_path)
    loaded = CANDIDATES.load("tuned-writer")(TOOLS).load(tmp_path)
    for item in replies(labelled=True)[::5]:
        before, after = (one.predict(Request(text=item.text, slots=item.slots), Scope()) for one in (writer, loaded))
        assert replace(before, usage=after.usage) == after
    assert loaded.training == writer.training
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} == {".json", ".safetensors"}
    script = """
import sys
from pathlib import Path
from steelyard.candidates import CANDIDATES
from steelyard.candidates.interface import Tools
from steelyard.models.fake import FakeEncoder
from steelyard.schema.outputs import Request
from steelyard.schema.scope import Scope
writer = CANDIDATES.load("tuned-writer")(Tools(encoder=FakeEncoder(32))).load(Path(sys.argv[1]))
assert writer.predict(Request(text="thank you", slots={"name": "Kim"}), Scope()).text.count("Kim") == 1
heavy = {"sklearn", "torch", "scipy", "transformers", "onnx"} & {name.partition(".")[0] for name in sys.modules}
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)
    with pytest.raises(ModelError) as caught:
        CANDIDATES.load("tuned-writer")(Tools(encoder=FakeEncoder(16))).load(tmp_path)
    assert caught.value.code == "candidate.other_artefact"


def test_a_budget_ends_the_training_and_the_work_folder_keeps_the_curve(tmp_path):
    writer = fitted(False, replace(TOOLS, work=tmp_path, budget_s=5.2))
    assert writer.training["seconds"] < 10
    assert (tmp_path / "writer" / "curve.jsonl").read_text(encoding="utf-8").count("\n") >= 2


def test_misuse_is_an_error_with_a_remedy():
    writer = CANDIDATES.load("tuned-writer")(TOOLS)
    with pytest.raises(NotFittedError):
        ask(writer, "hello")
    with pytest.raises(UserError) as caught:
        writer.fit([replace(row, output="{name} and {name}") for row in replies(labelled=False)], [])
    assert caught.value.code == "candidate.no_rows"
    assert "exemplar" in caught.value.remedy
