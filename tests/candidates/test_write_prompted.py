"""A writer that asks a language model, against a simulated one: values verbatim, nothing invented, a fallback that is told."""

from dataclasses import replace

import pytest

from candidates.scripted_generator import SimulatedGenerator
from candidates.test_labelled_candidates import cut, replies
from steelyard.candidates.interface import Tools
from steelyard.candidates.write_prompted import StyleFewShot
from steelyard.models.fake import FakeEncoder
from steelyard.schema.errors import ModelError, UserError
from steelyard.schema.outputs import Request
from steelyard.schema.scope import Scope

SLOTS = {"name": "<Kim> {x} é", "order": "A-1"}
LATE = Request(text="Where is order today?", slots=SLOTS)


def tools(script, **more) -> Tools:
    return Tools(encoder=FakeEncoder(), generator=SimulatedGenerator(script), **more)


def fitted(said, **more) -> StyleFewShot:
    train, validation, _ = cut(replies(label=True))
    return StyleFewShot(tools(lambda _: said, **more)).fit(train, validation)


def test_values_are_inserted_verbatim_and_never_shown_to_the_model() -> None:
    writer = fitted({"kind": "late", "reply": "Dear {name}, we are looking for {order}."}, style_guide="Say dear.")
    output = writer.predict(LATE, Scope())
    assert output.text == f"Dear {SLOTS['name']}, we are looking for A-1."
    assert (output.template, output.label) == ("Dear {name}, we are looking for {order}.", "late")
    assert output.well_formed is True
    shown = "".join(message.content for message in writer._tools.generator.prompts[-1])
    assert "<Kim>" not in shown
    assert "A-1" not in shown
    assert "Say dear." in shown
    assert "{name}, {order}" in shown
    assert dict(output.trace)["prompt"].startswith("write@")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"kind": "late", "reply": "Hi {name}, {order} left with {carrier}."}, "a place without a value: carrier"),
        ({"kind": "late", "reply": "Hi {name}!"}, "left out order"),
        ({"kind": "late", "reply": "Hi {name}, {order} comes in 14 days."}, "a figure that no approved reply has: 14"),
        ({"kind": "refund", "reply": "Hi {name}, {order}."}, "not of the form"),
        ("invalid", "not of the form"),
    ],
)
def test_a_reply_that_breaks_a_rule_is_not_sent_and_the_trace_says_so(said, why) -> None:
    output = fitted(said).predict(LATE, Scope())
    assert output.well_formed is False
    assert why in dict(output.trace)["fallback"]
    assert output.template in {item.output for item in replies(label=True)}
    assert output.text == output.template.replace("{name}", SLOTS["name"]).replace("{order}", "A-1")


def test_without_kinds_only_the_reply_is_asked_for() -> None:
    rows = replies(label=False)
    writer = StyleFewShot(tools(lambda _: {"reply": "Any time, {name}!"})).fit(rows[0::2], rows[1::2])
    output = writer.predict(Request(text="Thank you for helping", slots={"name": "Ada"}), Scope())
    assert (output.text, output.label) == ("Any time, Ada!", None)


def test_a_writer_declines_what_no_approved_reply_fits_without_a_call() -> None:
    rows = [row for row in replies(label=True) if row.slots]
    writer = StyleFewShot(tools(lambda _: {})).fit(rows, [])
    assert writer.predict(Request(text="Hello", slots={"plan": "Pro"}), Scope()).abstained
    assert writer._tools.generator.prompts == []


def test_predictions_survive_saving_and_loading(tmp_path) -> None:
    said = {"kind": "late", "reply": "Dear {name}, we are looking for {order}."}
    writer = fitted(said)
    writer.save(tmp_path)
    loaded = StyleFewShot(tools(lambda _: said)).load(tmp_path)
    before, after = writer.predict(LATE, Scope()), loaded.predict(LATE, Scope())
    assert replace(before, usage=after.usage) == after
    assert writer._tools.generator.prompts[-1] == loaded._tools.generator.prompts[-1]
    with pytest.raises(ModelError, match="Train it again"):
        StyleFewShot(Tools(encoder=FakeEncoder(), generator=SimulatedGenerator(str, name="other"))).load(tmp_path)
    with pytest.raises(UserError, match="no generator"):
        StyleFewShot(Tools(encoder=FakeEncoder())).fit(replies(label=True), [])
