import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from steelyard.components.answer_types import asked_types, holds
from steelyard.components.nearness import Latest
from steelyard.components.reader import FEATURES, LONGEST_WINDOW, UNTUNED, Reader
from steelyard.models.fake import FakeEncoder
from steelyard.models.metering import metered
from steelyard.schema.corpus import Hit
from steelyard.schema.scope import Access
from steelyard.stores.conformance import passage

EVERYONE = Access(allow=("everyone",))


def hit(text, score=1.0, name="a"):
    return Hit(passage=passage(name, text, EVERYONE), score=score)


def answer(question, *hits):
    return Reader(FakeEncoder(128)).read(question, list(hits)).best.text


def test_the_sentence_with_the_asked_words_and_value_is_quoted():
    text = "Cards are charged monthly. The Studio plan costs 34 USD a month. Bees make honey in summer."
    assert answer("How much is the Studio plan?", hit(text)) == "The Studio plan costs 34 USD a month."


def test_a_default_is_found_below_the_name_of_its_setting():
    text = (
        "wait_time (integer)\n\nSets how long a session waits. The default is 8MB. This parameter can only be set at start.\n\n"
        "max_wait (integer)\n\nSets the longest wait. The default is 1MB. This parameter can only be set at start."
    )
    assert answer("What is the default value of the parameter max_wait?", hit(text)) == "The default is 1MB."
    assert answer("What is the default value of the parameter wait_time?", hit(text)) == "The default is 8MB."


def test_a_table_row_is_found_by_row_and_column_name():
    text = "Code | Meaning | Replace after\nB01 | battery low | 300 cycles\nB02 | charger fault | 5 years"
    assert answer("What does B02 mean?", hit(text)) == "B02 | charger fault | 5 years"


def test_a_question_in_the_text_is_never_the_answer_alone():
    text = "How do I cancel the plan?\nOpen Settings and press the cancel button."
    assert "press the cancel button" in answer("How do I cancel the plan?", hit(text))


def test_a_neighbour_nearly_as_likely_is_quoted_as_well_and_an_unlikely_one_is_not():
    near = "The Studio plan costs 34 USD a month. The Studio plan costs 340 USD a year. Bees make honey in summer."
    assert answer("How much is the Studio plan?", hit(near)) == near[: near.index(" Bees")]


def test_neighbours_are_not_joined_beyond_a_window():
    filler = "for workshops with more than one pair of hands and less than six of them, whatever they make, "
    near = f"The Studio plan costs, {filler} 34 USD. The Studio plan costs, {filler} 340 USD a year."
    assert len(answer("How much is the Studio plan?", hit(near))) < LONGEST_WINDOW


def test_nothing_quotable_gives_no_reading():
    reader = Reader(FakeEncoder(64))
    assert reader.read("anything", []) is None
    assert reader.read("anything", [hit("--- | ---")]) is None


def test_a_question_of_stop_words_is_read_as_well():
    assert answer("what is it", hit("The fee is 5 USD."))


def test_a_passage_is_encoded_once():
    reader = Reader(FakeEncoder(64))
    hits = [hit("The fee is 5 USD. It is due in May, on the first day.")]
    first = reader.read("What is the fee?", hits)
    with metered() as meter:
        again = reader.read("What is the fee?", hits)
    assert meter.usage.encoder_tokens == sum(FakeEncoder(64).count_tokens(["What is the fee?"]))
    assert again.best == first.best
    assert np.array_equal(again.features, first.features)


def test_a_renamed_document_is_laid_out_anew():
    reader = Reader(FakeEncoder(64))
    one = hit("The fee is 5 USD.")
    two = Hit(passage=replace(one.passage, title="Wholly other words"), score=1.0)
    question = "other words fee"
    before, after = (reader.describe(question, [each])[1][0] for each in (one, two))
    assert after[FEATURES.index("introduced")] > before[FEATURES.index("introduced")]


def test_readers_that_share_vectors_keep_their_own_weights():
    reader = Reader(FakeEncoder(64))
    other = reader.reweighted(-UNTUNED)
    hits = [hit("The fee is 5 USD. Bees make honey in summer.")]
    assert reader.read("What is the fee?", hits).best != other.read("What is the fee?", hits).best


def test_what_was_unused_for_longest_is_forgotten_first():
    latest = Latest(2)
    latest.put("a", 1)
    latest.put("b", 2)
    latest.get("a")
    latest.put("c", 3)
    assert (latest.get("a"), latest.get("b"), latest.get("c")) == (1, None, 3)


@pytest.mark.parametrize(
    ("question", "kind", "holding", "other"),
    [
        ("How much is Solo?", "money", "Solo is 12 USD.", "Solo is small."),
        ("What is the default of x?", "default", "The default value is off.", "Set it at start."),
        ("When do payouts arrive?", "time", "Payouts take two working days.", "Payouts arrive in your bank."),
        ("How many logins are there?", "number", "It has five logins.", "It has logins."),
        ("Who signs refunds?", "person", "It is signed by Maren Oake.", "They are signed."),
        ("Why was it refused?", "reason", "It fails because the card expired.", "The card was refused."),
        ("What is the e-mail address?", "contact", "Write to help@example.com.", "Write to us."),
    ],
)
def test_the_kind_of_value_that_is_asked_for_is_recognised(question, kind, holding, other):
    assert kind in asked_types(question)
    assert holds((kind,), holding) == 1.0
    assert holds((kind,), other) == 0.0


def test_features_are_the_same_in_every_process():
    script = (
        "from steelyard.components.reader import Reader; from steelyard.models.fake import FakeEncoder;"
        "from steelyard.schema.corpus import Hit; from steelyard.stores.conformance import passage;"
        "from steelyard.schema.scope import Access;"
        "h = Hit(passage=passage('a', 'The fee of the plan is 5 USD. It is due in May for all plans and fees.', "
        "Access(allow=('everyone',))), score=1.0);"
        "print(Reader(FakeEncoder(64)).describe('when is the fee for the plan due and what is it', [h])[1].tobytes().hex())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
