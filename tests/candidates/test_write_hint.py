from __future__ import annotations

from steelyard.candidates.interface import Tools
from steelyard.candidates.write_approved import ExemplarWriter
from steelyard.models.fake import FakeEncoder
from steelyard.schema.items import Item
from steelyard.schema.outputs import Request
from steelyard.schema.scope import Scope

ROWS = [
    ("where is my money", "payout", "Hello {name}, about your payout: {answer}"),
    ("money back please", "refund", "Hello {name}, about the refund: {answer}"),
    ("thanks anyway", "refund", "Hello {name}, somebody will write to you."),
]


def writer() -> ExemplarWriter:
    items = [
        Item(
            id=str(at), task="write", text=text, label=label, output=output, slots={"name": "Ada", "answer": "Friday."}
        )
        for at, (text, label, output) in enumerate(ROWS)
    ]
    return ExemplarWriter(Tools(encoder=FakeEncoder())).fit(items, [])


def test_reply_of_the_routed_kind_is_preferred_to_a_nearer_one():
    request = {"text": "where is my money", "slots": {"name": "Ada", "answer": "Friday."}}
    assert writer().predict(Request(**request), Scope()).label == "payout"
    routed = writer().predict(Request(**request, label="refund"), Scope())
    assert (routed.label, routed.text) == ("refund", "Hello Ada, about the refund: Friday.")


def test_routed_kind_that_would_lose_the_answer_is_not_taken():
    rows = [
        Item(id="a", task="write", text="hello", label="payout", output="{name}: {answer}"),
        Item(id="b", task="write", text="hello", label="refund", output="{name}, somebody will write."),
    ]
    fitted = ExemplarWriter(Tools(encoder=FakeEncoder())).fit(rows, [])
    output = fitted.predict(Request(text="hello", slots={"name": "Ada", "answer": "Friday."}, label="refund"), Scope())
    assert output.text == "Ada: Friday."
